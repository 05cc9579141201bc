"""A policy behind a camera is its head on pictures: nothing more."""
import torch

import ilsupport as il
from ilsupport.policies.seeing import GREY


def demonstrations(device, n=4):
    return il.rollout(il.Driving(device=device), il.driving_expert, n, generator=il.generator(0, device),
                      horizon=60)


def head(generator, device, **options):
    return il.Gaussian(960, 1, hidden=(8,), limits=(-1, 1), generator=generator, **options).to(device)


def test_it_learns_what_its_head_learns_from_pictures(device):
    data, camera = demonstrations(device), il.Camera(device=device)
    seeing = il.Seeing(camera, head(il.generator(1), device))
    alone = head(il.generator(1), device)
    alone.sees.on = False
    obs, steering = data.pairs()
    pictures = camera(obs).flatten(1) - GREY
    il.fit(seeing, data, generator=il.generator(2, device), steps=50)
    il.fit(alone, (pictures, steering), generator=il.generator(2, device), steps=50)
    assert (seeing.head.sees.scale == 1).all(), "pictures keep their units"
    assert (seeing.head.plays.scale < 1).all()
    assert torch.allclose(seeing.act(obs), alone.act(pictures), atol=1e-5)
    assert torch.allclose(seeing.log_prob(obs, steering), alone.log_prob(pictures, steering), atol=1e-4)


def test_a_stack_sees_too(device):
    data, camera = demonstrations(device), il.Camera(device=device)
    stack = il.Seeing(camera, head(il.spawn(il.generator(1), 3), device))
    il.fit(stack, data, generator=il.generator(2, device), steps=20)
    runs = il.evaluate(il.Driving(device=device), stack, 5, generator=il.generator(3, device), horizon=20)
    assert len(runs) == 3 and stack.students == 3
