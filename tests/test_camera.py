"""The camera: the table of ready-made rows against pixels worked out singly."""
import pytest
import torch

import ilsupport as il
from ilsupport.envs.camera import (
    DASH,
    FARTHEST,
    FINE,
    GAP,
    HALF_LANE,
    NEAREST,
    PAINT,
    TARMAC,
    brightness,
    road_ahead,
)


@pytest.fixture
def states(device):
    g = il.generator(1, device)
    unit = torch.rand(2, 50, generator=g, device=device) * 2 - 1
    return il.Driving(device=device).place(2 * unit[0], 0.5 * unit[1],
                                           6.28 * torch.rand(50, 3, generator=g, device=device))


def worked_out(camera, states):
    """Every pixel by itself, without the table."""
    rows, columns = camera.shape
    distance = 1 / torch.linspace(1 / FARTHEST, 1 / NEAREST, rows, dtype=torch.float64, device=states.device)
    zoom = columns / 2
    middle = states.double() @ road_ahead(distance) - camera.side  # m to the left of the camera
    column = torch.arange(columns, dtype=torch.float64, device=states.device) - (columns - 1) / 2
    pixel = distance[:, None] / zoom
    x = -column * pixel - middle[..., None]  # of each pixel, m to the left of the lane's middle
    return brightness(x, pixel, distance[:, None] % (DASH + GAP) < DASH, camera.marks)


@pytest.mark.parametrize("side, marks", [(-1.0, True), (0.0, True), (0.7, False)])
def test_every_pixel(states, device, side, marks):
    camera = il.Camera(side, marks=marks, device=device)
    seen, exact = camera(states), worked_out(camera, states)
    assert seen.shape == (50, 30, 32) and seen.min() >= 0 and seen.max() <= 1
    # A stripe's edge spreads over a pixel, and the table knows the road to 1/16 of one on either side.
    assert (seen - exact).abs().max() < (PAINT - TARMAC) * 2 / (2 * FINE)


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
    left, centre = il.Camera(1.0, device=device)(states), il.Camera(device=device)(shifted)
    assert (left - centre).abs().mean() < 1e-3  # rounding may move a row by one eighth of a pixel


def test_left_and_right_are_mirror_images(states, device):
    camera = il.Camera(device=device)
    assert torch.allclose(camera(-states), camera(states).flip(-1), atol=0.06)


def test_any_leading_dimensions_and_float64(states, device):
    camera = il.Camera(device=device, dtype=torch.float64)
    stacked = camera(states.double().view(5, 10, 8))
    assert stacked.dtype == torch.float64 and torch.equal(stacked.flatten(0, 1), camera(states.double()))


@pytest.mark.parametrize("options", [{"rows": 1}, {"columns": 0}])
def test_bad_cameras(options):
    with pytest.raises(ValueError, match="expected at least two of each"):
        il.Camera(**options)
