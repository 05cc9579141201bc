"""The camera: the table of ready-made rows against pixels worked out singly, and what spoils a picture."""
import pytest
import torch

import ilsupport as il
from ilsupport.envs.camera import DASH, FINE, GAP, GRASS, HALF_LANE, PAINT, TARMAC, _stripes, road_ahead


@pytest.fixture
def states(device):
    env = il.Driving(device=device)
    env.reset(50, il.generator(0, device))
    unit = torch.rand(2, 50, generator=il.generator(1, device), device=device) * 2 - 1
    env.place(2 * unit[0], 0.5 * unit[1], env._phases)
    return env.features


def worked_out(camera, states, dash):
    """Every pixel by itself, without the table."""
    rows, columns = camera.shape
    distance = camera.distance.double()
    zoom = columns / 2
    middle = states.double() @ road_ahead(distance) - camera.side  # m to the left of the camera
    column = torch.arange(columns, dtype=torch.float64, device=states.device) - (columns - 1) / 2
    pixel = distance[:, None] / zoom
    left = -column * pixel  # of each pixel, m to the left
    tarmac, paint = _stripes(left - middle[..., None], pixel, dash[..., None], camera.marks)
    grass, road, white = (sum(colour) / 3 / 255 for colour in (GRASS, TARMAC, PAINT))
    return (grass * (1 - tarmac) + road * tarmac) * (1 - paint) + white * paint


@pytest.mark.parametrize("side", [-1.0, 0.0, 0.7])
def test_every_pixel(states, device, side):
    camera = il.Camera(side, device=device)
    along = torch.linspace(0, 20, 50, device=device)
    dash = (along[:, None] + camera.distance).remainder(DASH + GAP) < DASH
    seen, exact = camera(states, along=along), worked_out(camera, states, dash)
    assert seen.shape == (50, 30, 32) and seen.min() >= 0 and seen.max() <= 1
    # A stripe's edge spreads over a pixel, and the table knows the road to 1/16 of one on either side.
    assert (seen - exact).abs().max() < (sum(PAINT) - sum(TARMAC)) / 3 / 255 * 2 / (2 * FINE)


def test_the_road_ahead_of_a_steady_bend_is_a_parabola(device):
    """Constant curvature kappa: the middle lies kappa d^2 / 2 to the left, at every distance."""
    distance = torch.linspace(1, 40, 9, dtype=torch.float64, device=device)
    state = torch.tensor([0.5, 0.1, *[0.3] * 6], dtype=torch.float64, device=device)
    expected = -0.5 * HALF_LANE - 0.1 * distance + 0.3 * 0.1 * distance**2 / 2
    assert torch.allclose(state @ road_ahead(distance), expected, atol=1e-4)


def test_a_side_camera_sees_what_a_car_further_to_that_side_would(states, device):
    """What makes side cameras useful: page 6."""
    shifted = states.clone()
    shifted[:, 0] += 1 / HALF_LANE
    left, centre = il.Camera.mounted("left", device=device)(states), il.Camera(device=device)(shifted)
    assert (left - centre).abs().mean() < 1e-3  # rounding may move a row by one eighth of a pixel


def test_left_and_right_are_mirror_images(states, device):
    camera = il.Camera(device=device)
    assert torch.allclose(camera(-states), camera(states).flip(-1), atol=0.06)


def test_any_leading_dimensions_and_float64(states, device):
    camera = il.Camera(device=device, dtype=torch.float64)
    stacked = camera(states.double().view(5, 10, 8))
    assert stacked.dtype == torch.float64 and torch.equal(stacked.flatten(0, 1), camera(states.double()))


def test_noise_shadow_and_dashes_come_from_the_generator_only(states, device):
    clean = il.Camera(device=device)(states)
    spoilt = il.Camera(noise=0.05, shadow=True, device=device)
    assert torch.equal(spoilt(states), clean)
    one, same, other = (spoilt(states, il.generator(seed, device)) for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)
    noisy = il.Camera(noise=0.05, marks=False, device=device)(states, il.generator(0, device))
    plain = il.Camera(marks=False, device=device)(states)
    assert 0.045 < (noisy - plain).std() < 0.055
    dark = il.Camera(shadow=True, marks=False, device=device)(states, il.generator(0, device))
    assert (dark <= plain + 1e-6).all() and 0.01 < (plain - dark).mean() < 0.2


@pytest.mark.parametrize("options", [{"noise": -0.1}, {"rows": 1}, {"columns": 0}])
def test_bad_cameras(options):
    with pytest.raises(ValueError, match="expected no negative noise and at least two rows and columns"):
        il.Camera(**options)
