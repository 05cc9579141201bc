"""Are the experts experts, and is a model of another library one of them in one line?"""
import numpy as np
import pytest
import torch

from ilsupport import (
    Categorical,
    Gymnasium,
    Tightrope,
    cartpole_expert,
    dagger,
    evaluate,
    fit,
    from_sb3,
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


class StandIn:
    """What Stable-Baselines3 offers: numpy in, (numpy, state) out."""

    def __init__(self, state=None):
        self.state, self.calls = state, []

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        assert isinstance(observation, np.ndarray)
        self.calls.append((len(observation), deterministic))
        return (observation @ np.array([0.1, 0.15, 1, 0.25]) > 0).astype(np.int64), self.state


def test_a_model_of_stable_baselines3_is_an_expert_in_one_line(device):
    model = StandIn()
    env = Gymnasium("CartPole-v1", device=device, horizon=50)
    data = rollout(env, from_sb3(model), 4, generator=generator(0, device))
    assert data.returns().tolist() == [50] * 4 and data.actions.device.type == device.type
    assert model.calls == [(4, True)] * 50  # one call a step for all copies, and no sampling
    first = next(dagger(env, from_sb3(StandIn()), lambda g: Categorical(4, 2, generator=g), rounds=1, n=4,
                        generator=generator(0, device), train=lambda *a, **k: fit(*a, steps=5, **k)))
    assert torch.equal(first.data.labels[first.data.mask], first.data.actions[first.data.mask])


def test_models_that_are_no_experts():
    with pytest.raises(TypeError, match="expected a Stable-Baselines3 model.*predict"):
        from_sb3(lambda obs: obs)
    with pytest.raises(ValueError, match="memory"):
        from_sb3(StandIn(state=("hidden",)))(torch.zeros(2, 4))


@pytest.mark.filterwarnings("ignore")  # theirs, not ours
def test_the_real_stable_baselines3():
    sb3 = pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is no dependency of ours")
    env = Gymnasium("CartPole-v1", dtype=torch.float64)
    model = sb3.PPO("MlpPolicy", "CartPole-v1", seed=0, device="cpu", n_steps=64)
    for expert in (from_sb3(model), from_sb3(model.policy)):
        data = rollout(env, expert, 5, generator=generator(0), horizon=20)
        theirs, _ = model.predict(data.observations[data.mask].numpy(), deterministic=True)
        assert np.array_equal(data.actions[data.mask].numpy(), theirs)
    torque = sb3.SAC("MlpPolicy", "Pendulum-v1", seed=0, device="cpu")
    data = rollout(Gymnasium("Pendulum-v1"), from_sb3(torque), 3, generator=generator(0), horizon=10)
    assert data.actions.shape == (3, 10, 1) and data.actions.is_floating_point()


def test_any_callable_is_an_expert_and_a_clone_of_one_balances():
    env = Gymnasium("CartPole-v1")
    demos = rollout(env, cartpole_expert, 10, generator=generator(0))
    clone = Categorical(4, 2, generator=generator(1))
    fit(clone, demos, generator=generator(2), steps=1500)
    assert evaluate(env, clone, 50, generator=generator(3)).mean > 300
