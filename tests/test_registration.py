"""Our environments as other people meet them: through gymnasium, in numpy."""
import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env

from ilsupport import Gymnasium, generator, rollout, tightrope_expert
from ilsupport.envs.registration import MAKERS
from ilsupport.envs.tightrope import CLIMB

NAME = "ilsupport/Tightrope-v0"


@pytest.mark.parametrize("name", MAKERS)
def test_gymnasium_finds_nothing_to_say_against_it(name):
    """Any warning but the one about unbounded boxes is an error here (see pyproject.toml)."""
    check_env(gymnasium.make(name).unwrapped)


@pytest.mark.parametrize("name", MAKERS)
def test_the_spec_survives_json(name):
    spec = EnvSpec.from_json(gymnasium.spec(name).to_json())
    assert gymnasium.make(spec).observation_space == gymnasium.make(name).observation_space


def play(env, actions, seed):
    seen = [env.reset(seed=seed)[0]]
    for action in actions:
        obs, reward, terminated, truncated, _ = env.step(action)
        seen.append(np.append(obs, [reward, terminated, truncated]))
    return np.concatenate(seen)


def test_a_seed_decides_the_episode_and_none_goes_on():
    env = gymnasium.make(NAME, rho=0.5)
    actions = [0, 1, 2, 1, 0, 0, 1]
    one, same, other = (play(env, actions, seed) for seed in (3, 3, 4))
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    env.reset(seed=3)
    going_on = env.reset()[0]
    assert not np.array_equal(going_on, one[:9])
    env.reset(seed=3)
    assert np.array_equal(env.reset()[0], going_on)


def test_options_reach_the_environment_and_the_horizon_truncates():
    env = gymnasium.make(NAME, absorbing=True, horizon=4)
    env.reset(seed=0)
    steps = [env.step(CLIMB) for _ in range(4)]
    assert [reward for _, reward, *_ in steps] == [-1] * 4  # absorbing: climbing does not help
    assert [truncated for *_, truncated, _ in steps] == [False] * 3 + [True]
    env.reset()
    assert not env.step(CLIMB)[3]


def test_make_vec_steps_copies_in_turn_and_they_pay_what_the_tensors_pay():
    env = gymnasium.make_vec(NAME, num_envs=5, horizon=30)
    obs, _ = env.reset(seed=1)
    assert len(np.unique(obs, axis=0)) == 5
    for _ in range(30):
        assert obs in env.observation_space and obs.dtype == np.float32
        obs, reward, terminated, truncated, _ = env.step(tightrope_expert(torch.from_numpy(obs)).numpy())
        assert reward.dtype == np.float64 and not reward.any() and not terminated.any()
    assert truncated.all()


def test_observations_changed_in_place_do_not_change_the_environment():
    env, untouched = (gymnasium.make(NAME) for _ in range(2))
    obs, same = env.reset(seed=5)[0], untouched.reset(seed=5)[0]
    action = int(tightrope_expert(torch.from_numpy(same)[None]))
    obs *= -1
    assert env.step(action)[1] == untouched.step(action)[1] == 0


def test_bad_action_of_a_single_copy():
    env = gymnasium.make(NAME)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="outside the action space"):
        env.step(3)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_there_and_back_again(mode):
    """Through gymnasium and our adapter the expert never pays, and who never climbs pays at every step."""
    env = Gymnasium(NAME, horizon=20, vectorization_mode=mode)
    assert (rollout(env, tightrope_expert, 3, generator=generator(0)).returns() == 0).all()
    fallen = rollout(env, lambda obs: 1 - tightrope_expert(obs).clamp(max=1), 3, generator=generator(0))
    assert (fallen.returns() == -20).all()
