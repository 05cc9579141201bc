"""The world of page 8 against its definition, and students who see part of it."""
import pytest
import torch

from ilsupport import (
    BrakeLight,
    Categorical,
    Gaussian,
    View,
    Window,
    brakelight_expert,
    evaluate,
    fit,
    generator,
    rollout,
    spawn,
)

scene = lambda obs: obs[..., :2]  # noqa: E731


def test_the_expert_never_pays_and_its_opposite_always_does(device, dtype):
    env = BrakeLight(truth=True, device=device, dtype=dtype)
    good = rollout(env, brakelight_expert, 20, generator=generator(0, device))
    assert good.observations.dtype == dtype and not good.rewards.any()
    bad = rollout(env, lambda obs: 1 - brakelight_expert(obs), 20, generator=generator(0, device))
    assert (bad.rewards == -1).all()
    assert (rollout(Window(env, 3), brakelight_expert, 4,
                    generator=generator(0, device)).returns() == 0).all()


def test_the_road_and_the_camera_are_what_the_page_says():
    q, noise, n = 0.2, 1.5, 4000
    drive = rollout(BrakeLight(truth=True, switch=q, noise=noise, horizon=12), brakelight_expert, n,
                    generator=generator(1))
    camera, light, truth = drive.observations.unbind(-1)
    assert not truth[:, 0].any() and not light[:, 0].any()
    t = torch.arange(12)
    share = (1 - (1 - 2 * q) ** t) / 2
    assert (truth.mean(0) - share).abs().max() < 5 * (0.25 / n) ** 0.5
    changed = (truth[:, 1:] != truth[:, :-1]).float()
    assert abs(float(changed.mean()) - q) < 5 * (q * (1 - q) / changed.numel()) ** 0.5
    left = (camera - (2 * truth - 1)) / noise
    assert abs(float(left.mean())) < 5 / left.numel() ** 0.5 and abs(float(left.std()) - 1) < 0.02
    assert abs(float((left[:, 1:] * left[:, :-1]).mean())) < 5 / left.numel() ** 0.5  # anew at each step
    assert torch.equal(light[:, 1:], truth[:, :-1])


def test_the_light_shows_the_last_action_and_moves_nothing():
    g = generator(3)
    coin = lambda obs: torch.randint(2, (len(obs),), generator=g)  # noqa: E731
    drive = rollout(BrakeLight(truth=True), coin, 30, generator=generator(2))
    assert torch.equal(drive.observations[:, 1:, 1], drive.actions[:, :-1].float())
    taped = rollout(BrakeLight(truth=True, light=False), brakelight_expert, 30, generator=generator(2))
    assert not taped.observations[..., 1].any()
    assert torch.equal(taped.observations[..., [0, 2]],
                       drive.observations[..., [0, 2]])  # whatever was played
    assert torch.equal(drive.rewards, -(drive.actions != drive.observations[..., 2]).float())


def test_without_noise_the_camera_is_the_truth():
    env = BrakeLight(noise=0.0)
    assert float(evaluate(env, lambda obs: (obs[:, 0] > 0).long(), 50, generator=generator(0)).mean) == 0
    assert env.observation_space.shape == (2,) and BrakeLight(truth=True).observation_space.shape == (3,)


def test_bad_input():
    for wrong in (dict(switch=1.5), dict(switch=-0.1), dict(noise=-1.0), dict(noise=float("nan")),
                  dict(horizon=0)):
        with pytest.raises(ValueError):
            BrakeLight(**wrong)
    with pytest.raises(ValueError, match=r"BrakeLight\(truth=True\)"):
        brakelight_expert(BrakeLight().reset(3, generator(0)))
    with pytest.raises(RuntimeError, match="reset"):
        BrakeLight().step(torch.zeros(3, dtype=torch.int64))
    env = BrakeLight()
    env.reset(3, generator(0))
    for action in (torch.zeros(2, dtype=torch.int64), torch.zeros(3)):
        with pytest.raises(ValueError, match="one action a copy"):
            env.step(action)


@pytest.mark.slow
def test_the_light_lowers_the_loss_and_raises_the_cost():
    """Page 8's claim in small: five students each, from seeds that the page does not use."""
    env, g, result = BrakeLight(truth=True), generator(11), []
    demos = rollout(env, brakelight_expert, 5 * 40, generator=g)
    data, held_out = [demos[k * 40:(k + 1) * 40]
                      for k in range(5)], rollout(env, brakelight_expert, 100, generator=g).pairs()
    for see, size in ((lambda obs: obs[..., :1], 1), (scene, 2)):
        policy = View(Categorical(size, 2, generator=spawn(g, 5)), see)
        fit(policy, data, generator=g, steps=800)
        obs, action = (x.expand(5, *x.shape) for x in held_out)
        J = torch.tensor([-e.mean for e in evaluate(env, policy, 200, generator=generator(12))])
        result.append((policy.loss(obs, action).detach(), J))
    (loss, J), (loss_light, J_light) = result
    assert loss_light.max() < 0.6 * loss.min() and J_light.mean() > 1.15 * J.mean()


@pytest.mark.parametrize("students", [None, 2])
def test_a_view_shows_the_head_what_it_says(students):
    g = lambda: generator(0) if students is None else spawn(generator(0), students)  # noqa: E731
    obs = torch.randn(*([students] if students else []), 6, 3, generator=generator(1))
    for head, action in ((Categorical(2, 2, generator=g()), torch.ones(obs.shape[:-1], dtype=torch.int64)),
                         (Gaussian(2, 1, generator=g()), torch.ones(*obs.shape[:-1], 1))):
        view = View(head, scene)
        assert view.students == students and torch.equal(view.act(obs), head.act(scene(obs)))
        assert torch.equal(view.act(obs, generator(4)), head.act(scene(obs), generator(4)))
        assert torch.equal(view.loss(obs, action), head.loss(scene(obs), action))
        assert torch.equal(view.log_prob(obs, action), head.log_prob(scene(obs), action))
        blind = View(head, lambda o: scene(o) * 0)
        assert torch.equal(blind.act(obs), blind.act(obs + 1))
        with pytest.raises(ValueError):
            view.check(torch.zeros(3, 3), torch.zeros(3, 4))


def test_a_view_hands_on_the_generator_of_a_head_whose_loss_draws_noise():
    class Noisy(Categorical):
        def loss(self, obs, action, generator=None):
            return super().loss(obs, action) + 0 * torch.rand((), generator=generator)
    view, g = View(Noisy(2, 2, generator=generator(0)), scene), generator(3)
    view.loss(torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64), g)
    assert not torch.equal(torch.rand(1, generator=g), torch.rand(1, generator=generator(3)))
    fit(view, (torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64)), generator=generator(1), steps=2)
