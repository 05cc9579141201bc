"""The GRU against torch's own; what every network over windows owes: dtype, stacks, clear errors, memory."""
import pytest
import torch

from ilsupport import GRU, Categorical, Transformer, fit, generator, spawn

NETS = {"mlp": {}, "gru": {"net": GRU, "hidden": (8,)}, "deep gru": {"net": GRU, "hidden": (8, 6)},
        "transformer": {"net": Transformer, "hidden": (8, 8)}}


@pytest.fixture(params=list(NETS))
def over_windows(request):
    return lambda g, cls=Categorical, dtype=torch.float64: cls((5, 3), 2, generator=g, dtype=dtype,
                                                               **NETS[request.param])


def windows(*lead, dtype=torch.float64, device="cpu"):
    return torch.randn(*lead, 7, 5, 3, generator=generator(5, device), device=device, dtype=dtype)


def test_it_is_the_gru_of_torch(device, dtype):
    ours = GRU(((5, 3), 8, 2), generator(0, device), dtype)
    theirs = torch.nn.GRU(3, 8, batch_first=True, device=device, dtype=dtype)
    with torch.no_grad():
        for name, value in (("weight_ih_l0", ours.reads.weights[0]), ("bias_ih_l0", ours.reads.biases[0]),
                            ("weight_hh_l0", ours.keeps.weights[0]), ("bias_hh_l0", ours.keeps.biases[0])):
            getattr(theirs, name).copy_(value)
    x = windows(dtype=dtype, device=device)
    torch.testing.assert_close(ours(x), ours.answers(theirs(x)[1][0]))


def test_the_oldest_frame_and_the_order_count(over_windows):
    policy, obs = over_windows(generator(0)), windows()
    for other in (torch.cat([obs[:, :1] + 1, obs[:, 1:]], 1), obs.flip(1)):
        assert (policy.logits(other) - policy.logits(obs)).abs().min() > 0


def test_memory_is_learnt(over_windows):
    """Only the oldest frame says what to do; chance would be wrong half of the time."""
    obs = torch.randn(400, 5, 3, generator=generator(3), dtype=torch.float64)
    right = (obs[:, 0, 0] > 0).long()
    policy = over_windows(generator(0))
    fit(policy, (obs, right), generator=generator(1), steps=400, lr=1e-2)
    assert (policy.act(obs) == right).double().mean() > 0.9


@pytest.mark.parametrize("shape", [(7, 4, 3), (7, 5, 2), (7, 3), (5, 3), (1, 7, 5, 3)])
def test_other_windows_are_refused(over_windows, shape):
    with pytest.raises(ValueError, match=r"expected \(n, 5, 3\)"):
        over_windows(generator(0)).act(torch.zeros(shape, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"expected \(2, n, 5, 3\)"):
        over_windows(spawn(generator(0), 2)).act(torch.zeros(shape, dtype=torch.float64))


@pytest.mark.parametrize("net", [GRU, Transformer])
def test_a_network_over_windows_needs_windows(net):
    for size in (3, (3,), (0, 3), (5, 0)):
        with pytest.raises(ValueError, match=r"expected \(length, d\)"):
            Categorical(size, 2, net=net, hidden=(8,), generator=generator(0))


def test_a_gru_needs_a_memory():
    with pytest.raises(ValueError, match="memory"):
        Categorical((5, 3), 2, net=GRU, hidden=(), generator=generator(0))
