"""Are the experts experts, and is each asked in the same way?"""
import pytest
import torch

from ilsupport import (
    Categorical,
    ForkExpert,
    Gymnasium,
    LocomotionExpert,
    Policy,
    Reach,
    ReachExpert,
    ReachPlay,
    Tightrope,
    brakelight_expert,
    cartpole_expert,
    driving_expert,
    evaluate,
    experts,
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
    with pytest.raises(ValueError, match=f"an observation of {name} has shape"):
        expert(torch.zeros(shape))


def test_the_tightrope_expert_is_never_wrong():
    assert (-evaluate(Tightrope(), tightrope_expert, 20, generator=generator(0))).mean == 0


def test_any_callable_is_an_expert_and_a_clone_of_one_balances():
    env = Gymnasium("CartPole-v1")
    demos = rollout(env, cartpole_expert, 10, generator=generator(0))
    clone = Categorical(4, 2, generator=generator(1))
    fit(clone, demos, generator=generator(2), steps=1500)
    assert evaluate(env, clone, 50, generator=generator(3)).mean > 300


EXPERTS = {
    "tightrope": (lambda: tightrope_expert, 9), "brake light": (lambda: brakelight_expert, 3),
    "CartPole": (lambda: cartpole_expert, 4), "Pendulum": (lambda: pendulum_expert, 3),
    "driving": (lambda: driving_expert, 8), "fork": (lambda: ForkExpert(generator(0)), 4),
    "reach": (lambda: ReachExpert(Reach()), 4), "play": (lambda: ReachPlay(Reach(), generator=generator(0)),
                                                         4),
    **{task: (lambda task=task: LocomotionExpert(task), LocomotionExpert(task).width)
       for task in experts.TASKS},
}


@pytest.mark.parametrize("name", EXPERTS)
def test_every_expert_is_called_in_one_way_and_goes_where_its_observations_are(name, dtype):
    make, width = EXPERTS[name]
    expert = make()
    obs = 2 * torch.rand(6, width, generator=generator(1), dtype=dtype) - 1
    if isinstance(expert, Policy):
        expert.to(dtype=dtype).begin()
    actions = expert(obs)
    assert len(actions) == 6 and (actions.dtype == dtype or not actions.is_floating_point())
    if isinstance(expert, Policy):
        again = make().to(dtype)
        assert torch.equal(again.act(obs), actions), "called is acted, and all chance is its own"
        again.begin()
        expert = again.to("meta")
    assert expert(obs.to("meta")).device.type == "meta", "nothing stays behind"
    with pytest.raises(ValueError, match="an observation of .* has shape"):
        make()(obs[:, 1:])


def test_who_plays_forgets_where_they_were_going_when_an_episode_begins():
    env = Reach()
    play = ReachPlay(env, generator=generator(0))
    for n in (5, 3):  # another number of episodes, too
        first, second = (rollout(env, play, n, generator=generator(2)) for _ in range(2))
        assert torch.equal(first.observations[:, 0], second.observations[:, 0])
        assert not torch.equal(first.actions, second.actions), "a new aim each"


def test_a_walker_goes_on_where_its_maze_was_moved():
    env = Reach()
    walker = ReachExpert(env).double()
    assert walker.env.dtype == torch.float64 and env.dtype == torch.float32, "the world itself stays"
    wide = Reach(dtype=torch.float64)
    data = rollout(wide, walker, 20, generator=generator(0))
    assert data.rewards[:, -1].eq(0).all() and data.actions.dtype == torch.float64
    deep = torch.nn.ModuleList([ReachExpert(env)]).double()
    assert deep[0].env.dtype == torch.float64, "also inside of something else"
