"""What a car sees: the road in perspective, as batched tensors; no image file, no graphics library (page 6).

The retina has 30 rows of 32 pixels, as ALVINN's had. A row looks at one distance, so the road crosses it as
one fixed stripe pattern that only shifts sideways; how far is a linear function of the state. Rendering is
therefore a matrix product and a look-up in a table of ready-made rows.
"""
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ilsupport.envs.base import Device
from ilsupport.identity import Configured

AHEAD = (0.0, 5.0, 10.0, 15.0, 20.0, 30.0)  # m ahead, where a state knows the road's curvature
FULL_LOCK = 0.1  # 1/m, curvature of the circle that a car drives at full lock
HALF_LANE = 1.75  # m
NEAREST, FARTHEST = 4.0, 30.0  # m, bottom and top row
GRASS, TARMAC, PAINT = 314 / 765, 206 / 765, 698 / 765  # brightness
DASH, GAP = 3.0, 3.0  # m, of the dashed line in the middle
LINE = 0.12  # m, half the width of a painted line
FINE = 8  # positions of the road per pixel


class Camera(Configured, nn.Module):
    """A camera on a car: states of `Driving`, `(*n, 8)`, to pictures `(*n, rows, columns)` of brightness in
    [0, 1].

    side   m to the left of the car's middle (negative: to the right)
    marks  whether lane marks are painted: a line at each edge, and dashes in the middle, the first at the car

    Small angles: the road is projected to first order in the heading and the bend. Raises ValueError for
    fewer than two rows or columns.
    """

    def __init__(self, side: float = 0.0, *, marks: bool = True, rows: int = 30, columns: int = 32,
                 device: Device = "cpu", dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        if min(rows, columns) < 2:
            raise ValueError(f"rows = {rows}, columns = {columns}; expected at least two of each.")
        self.side, self.marks, self.shape = side, marks, (rows, columns)
        distance = 1 / torch.linspace(1 / FARTHEST, 1 / NEAREST, rows, dtype=torch.float64)
        zoom = columns / 2  # pixels at 1 m for a thing 1 m wide: the view spans 90 degrees
        # Further off, in fine positions, the road is out of sight.
        self._most = FINE * (int(columns / 2 + (HALF_LANE + 0.5) * zoom / NEAREST) + 1)
        middle = torch.arange(-self._most, self._most + 1, dtype=torch.float64)[:, None] / FINE
        column = torch.arange(columns, dtype=torch.float64) - (columns - 1) / 2
        away = distance[:, None, None]
        table = brightness((column - middle) * away / zoom, away / zoom, away % (DASH + GAP) < DASH, marks)
        # Made from the settings, so that no file needs to hold them.
        self.register_buffer("_table", table.flatten(0, 1), persistent=False)
        self.register_buffer("_first", torch.arange(rows) * len(middle) + self._most, persistent=False)
        self.register_buffer("_geometry", road_ahead(distance).mul(-zoom / distance), persistent=False)
        # Further left, the road lies further right.
        self.register_buffer("_mounting", side * zoom / distance, persistent=False)
        self.to(device, dtype)

    def forward(self, state: Float[Tensor, "*n 8"]) -> Float[Tensor, "*n rows columns"]:
        """Take a picture of each state."""
        state = torch.as_tensor(state).to(self._geometry.dtype)
        middle = (state @ self._geometry + self._mounting).mul_(FINE).round_().clamp_(-self._most, self._most)
        return nn.functional.embedding(middle.long().add_(self._first), self._table)


def brightness(x: Tensor, pixel: Tensor, dash: Tensor, marks: bool) -> Tensor:
    """Of pixels `pixel` m wide on the ground, `x` m to the side of the lane's middle; shapes broadcast."""
    def cover(x: Tensor, half: float) -> Tensor:  # the share that a stripe from -half to half takes
        return ((half - x.abs()) / pixel + 0.5).clamp(0, 1)
    tarmac, lines = cover(x, HALF_LANE + 0.4), cover(x.abs() - HALF_LANE, LINE)
    paint = torch.maximum(lines, cover(x, LINE) * dash) * (2 * LINE / pixel).clamp(max=1) * marks
    return (GRASS * (1 - tarmac) + TARMAC * tarmac) * (1 - paint) + PAINT * paint


def road_ahead(distance: Float[Tensor, "r"]) -> Float[Tensor, "8 r"]:
    """How far to the left the lane's middle lies, in m, at each distance: `state @ road_ahead(distance)`.

    To first order: minus the offset, minus heading times distance, plus the curvature integrated twice
    (linear between the distances `AHEAD`, constant beyond).
    """
    x = torch.linspace(0, 1, 513, dtype=torch.float64)[:, None] * distance.cpu()
    hats = [torch.from_numpy(np.interp(x, AHEAD, one)).to(distance) for one in np.eye(len(AHEAD))]
    x = x.to(distance)
    bends = [torch.trapezoid((distance - x) * hat, x, dim=0) * FULL_LOCK for hat in hats]
    return torch.stack([torch.full_like(distance, -HALF_LANE), -distance, *bends])
