"""Causality, attention by hand, sizes. What networks over windows share is in test_recurrent.py."""
import pytest
import torch

from ilsupport import Categorical, Transformer, generator, spawn
from ilsupport.policies.transformer import HEADS


def test_no_frame_sees_its_future(device, dtype):
    net = Transformer(((6, 3), 8, 8, 2), generator(0, device), dtype)
    x = torch.randn(4, 6, 3, generator=generator(1, device), device=device, dtype=dtype)
    for t in range(6):
        changed = x.clone()
        changed[:, t] += 1
        moved = (net.stream(changed) - net.stream(x)).abs().amax((0, 2))
        assert (moved[:t] == 0).all() and (moved[t:] > 0).all()


def test_one_block_is_attention_as_one_writes_it_down():
    net = Transformer(((4, 3), 8, 2), generator(0), torch.float64)
    x = torch.randn(5, 4, 3, generator=generator(1), dtype=torch.float64)
    norm = lambda v: (v - v.mean(-1, keepdim=True)) / (v.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    block = net.blocks[0]
    h = net.embed(torch.cat([x, torch.eye(4, dtype=torch.float64).expand(5, 4, 4)], -1))
    query, key, value = block["look"](norm(h)).chunk(3, -1)
    seen = torch.zeros_like(h)
    for part in torch.arange(8).chunk(HEADS):
        for t in range(4):
            weight = (key[:, :t + 1, part] @ query[:, t, part, None] / len(part) ** 0.5).softmax(1)
            seen[:, t, part] = (weight * value[:, :t + 1, part]).sum(1)
    h = h + block["mix"](seen)
    h = norm(h + block["think"](norm(h)))
    torch.testing.assert_close(net.stream(x), h)
    torch.testing.assert_close(net(x), net.answers(h[:, -1]))


@pytest.mark.parametrize("hidden", [(8, 12), (6,), ()])
def test_widths_must_fit(hidden):
    with pytest.raises(ValueError, match="equal widths"):
        Categorical((4, 3), 2, net=Transformer, hidden=hidden, generator=generator(0))


def test_gradients_reach_every_parameter_of_every_student():
    policy = Categorical((4, 3), 2, net=Transformer, hidden=(8, 8), generator=spawn(generator(0), 2))
    obs = torch.randn(2, 9, 4, 3, generator=generator(1))
    policy.loss(obs, torch.zeros(2, 9, dtype=torch.int64)).sum().backward()
    for name, p in policy.named_parameters():
        assert p.grad is not None and p.grad.flatten(1).abs().amax(1).min() > 0, name
