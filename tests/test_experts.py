"""Are the experts experts, and is a model of another library one of them in one line?"""
import pytest
import torch

from ilsupport import (
    Categorical,
    Gymnasium,
    Tightrope,
    cartpole_expert,
    evaluate,
    fit,
    generator,
    pendulum_expert,
    rollout,
    tightrope_expert,
)


def test_cartpole_is_balanced_for_all_500_steps(device, dtype):
    env = Gymnasium("CartPole-v1", device=device, dtype=dtype)
    data = rollout(env, cartpole_expert, 100, generator=generator(0, device))
    assert data.returns().tolist() == [500] * 100
    assert data.observations[..., 0].abs().max() < 1  # with room to spare: the cart may go to 2.4


def test_the_pendulum_is_swung_up_and_stays_there(device, dtype):
    env = Gymnasium("Pendulum-v1", device=device, dtype=dtype)
    data = rollout(env, pendulum_expert, 200, generator=generator(0, device))
    assert data.actions.dtype == dtype and data.actions.shape == (200, 200, 1)
    assert data.actions.abs().max() <= 2
    assert -175 < data.returns().mean() < -130
    cosine, spin = data.final_observations[:, 0], data.final_observations[:, 2]
    assert cosine.min() > 0.999 and spin.abs().max() < 0.01


@pytest.mark.parametrize("expert, name", [(cartpole_expert, "CartPole-v1"), (pendulum_expert, "Pendulum-v1")])
@pytest.mark.parametrize("shape", [(5,), (5, 9), (2, 5, 4)])
def test_observations_of_another_environment(expert, name, shape):
    with pytest.raises(ValueError, match=f"expected .*{name}"):
        expert(torch.zeros(shape))


def test_the_tightrope_expert_is_never_wrong():
    assert (-evaluate(Tightrope(), tightrope_expert, 20, generator=generator(0))).mean == 0


def test_any_callable_is_an_expert_and_a_clone_of_one_balances():
    env = Gymnasium("CartPole-v1")
    demos = rollout(env, cartpole_expert, 10, generator=generator(0))
    clone = Categorical(4, 2, generator=generator(1))
    fit(clone, demos, generator=generator(2), steps=1500)
    assert evaluate(env, clone, 50, generator=generator(3)).mean > 300
