"""What a car sees: the road in perspective, as batched tensors; no image file, no graphics library (page 6).

The retina has 30 rows of 32 pixels, as ALVINN's had. A row looks at one distance, so the road crosses it as
one fixed stripe pattern that only shifts sideways; how far is a linear function of the state. Rendering is
therefore a matrix product and a look-up in a table of ready-made rows.
"""
from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ilsupport.identity import Configured

AHEAD = (0.0, 5.0, 10.0, 15.0, 20.0, 30.0)  # m ahead, where a state knows the road's curvature
FULL_LOCK = 0.1  # 1/m, curvature of the circle that a car drives at full lock
HALF_LANE = 1.75  # m
NEAREST, FARTHEST = 4.0, 30.0  # m, bottom and top row
GRASS, TARMAC, PAINT, SKY = (96, 140, 78), (66, 68, 72), (235, 235, 228), (176, 205, 230)
DASH, GAP = 3.0, 3.0  # m, of the dashed line in the middle
FINE = 8  # positions of the road per pixel


class Camera(Configured, nn.Module):
    """A camera on a car: states of `Driving`, `(*n, 8)`, to pictures `(*n, rows, columns)` of brightness in
    [0, 1].

    side      m to the left of the car's middle (negative: to the right)
    noise     standard deviation of the brightness of every pixel
    shadow    whether a shadow, anywhere and of any width, may lie across the road
    marks     whether lane marks are painted: a line at each edge, and dashes in the middle

    Small angles: the road is projected to first order in the heading and the bend. Noise, shadow and, unless
    it is told how far the car has come, the dashes' position are drawn anew for each picture from
    `generator`; without one there is no noise and no shadow, and the dashes start at the car. Raises
    ValueError for negative noise or fewer than two rows or columns.
    """

    mounts = {"left": 1.0, "centre": 0.0, "right": -1.0}  # name -> side

    def __init__(self, side: float = 0.0, *, noise: float = 0.0, shadow: bool = False, marks: bool = True,
                 rows: int = 30, columns: int = 32, device: torch.device | str = "cpu",
                 dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        if noise < 0 or min(rows, columns) < 2:
            raise ValueError(f"noise = {noise}, rows = {rows}, columns = {columns}; expected no negative "
                             "noise and at least two rows and columns.")
        self.side, self.noise, self.shadow, self.marks = side, noise, shadow, marks
        self.shape = rows, columns
        distance = 1 / torch.linspace(1 / FARTHEST, 1 / NEAREST, rows, dtype=torch.float64)
        zoom = columns / 2  # pixels at 1 m for a thing 1 m wide: the view spans 90 degrees
        table, self._reach = _table(distance, zoom, columns, marks)
        levels = 2 * self._reach * FINE + 1
        self._dashed = rows * levels
        parts = {"distance": distance, "_geometry": road_ahead(distance).mul(-zoom / distance),
                 "_mounting": side * zoom / distance,  # further left, the road lies further right
                 "_table": table, "_first": torch.arange(rows) * levels + self._reach * FINE}
        for name, part in parts.items():  # made from the settings, so that no file needs to hold them
            part = part.to(device, dtype if part.is_floating_point() else part.dtype)
            self.register_buffer(name, part, persistent=False)

    @classmethod
    def mounted(cls, name: str, **options) -> Camera:
        """The camera called `left`, `centre` or `right`, 1 m to that side. Raises ValueError otherwise."""
        if name not in cls.mounts:
            raise ValueError(f"camera {name!r}, expected one of {', '.join(cls.mounts)}, or a Camera.")
        return cls(cls.mounts[name], **options)

    def forward(self, state: Float[Tensor, "*n 8"], generator: torch.Generator | None = None,
                along: Float[Tensor, "*n"] | None = None) -> Float[Tensor, "*n rows columns"]:
        """Take a picture of each state; `along` is how far each car has come, in m, and places the dashes."""
        state = torch.as_tensor(state).to(self.distance.dtype)
        middle = (state @ self._geometry + self._mounting).mul_(FINE).round_()
        index = middle.clamp_(-self._reach * FINE, self._reach * FINE).long().add_(self._first)
        if self.marks:
            if along is None and generator is not None:
                like = {"generator": generator, "dtype": state.dtype, "device": state.device}
                along = torch.rand(state.shape[:-1], **like) * (DASH + GAP)
            where = self.distance if along is None else along.unsqueeze(-1) + self.distance
            index += (where.remainder(DASH + GAP) < DASH) * self._dashed
        picture = nn.functional.embedding(index, self._table)
        if generator is not None and (self.shadow or self.noise):
            picture = self._spoil(picture, generator)
        return picture

    def _spoil(self, picture: Tensor, generator: torch.Generator) -> Tensor:
        like = {"generator": generator, "dtype": picture.dtype, "device": picture.device}
        if self.shadow:
            rows = self.shape[0]
            start, width, depth = torch.rand(*picture.shape[:-2], 3, 1, **like).unbind(-2)
            row = torch.arange(rows, device=picture.device)
            dark = (row >= start * rows) & (row < (start + width / 2) * rows)
            picture = picture * (1 - 0.6 * depth * dark).unsqueeze(-1)
        if self.noise:
            picture = torch.randn(picture.shape, **like).mul_(self.noise).add_(picture).clamp_(0, 1)
        return picture


def road_ahead(distance: Float[Tensor, "r"]) -> Float[Tensor, "8 r"]:
    """State -> how far to the left the lane's middle lies, in m, at each distance: `state @
    road_ahead(distance)`.

    To first order: minus the offset, minus heading times distance, plus the curvature integrated twice
    (linear between the distances `AHEAD`, constant beyond).
    """
    fine = torch.linspace(0, 1, 513, dtype=distance.dtype, device=distance.device)
    x = fine[:, None] * distance  # (513, r)
    knots = torch.tensor(AHEAD, dtype=distance.dtype, device=distance.device)
    rows = [torch.full_like(distance, -HALF_LANE), -distance]
    for j in range(len(AHEAD)):
        hat = torch.ones_like(x)
        if j > 0:
            hat = hat.minimum((x - knots[j - 1]) / (knots[j] - knots[j - 1]))
        if j < len(AHEAD) - 1:
            hat = hat.minimum((knots[j + 1] - x) / (knots[j + 1] - knots[j]))
        rows.append(torch.trapezoid((distance - x) * hat.clamp(0, 1), x, dim=0) * FULL_LOCK)
    return torch.stack(rows)


def _cover(x: Tensor, half: float, pixel: Tensor) -> Tensor:
    """Which share of a pixel of width `pixel` at `x` a stripe from -half to half covers."""
    return ((half - x.abs()) / pixel + 0.5).clamp(0, 1)


def _stripes(x: Tensor, pixel: Tensor, dash: Tensor | bool, marks: bool) -> tuple[Tensor, Tensor]:
    """How much tarmac and how much paint there is `x` m to the side of the lane's middle."""
    line = 0.12
    paint = _cover(x.abs() - HALF_LANE, line, pixel)
    paint = torch.maximum(paint, _cover(x, line, pixel) * dash) if marks else torch.zeros_like(x)
    return _cover(x, HALF_LANE + 0.4, pixel), paint * (2 * line / pixel).clamp(max=1)


def _table(distance: Tensor, zoom: float, columns: int, marks: bool) -> tuple[Tensor, int]:
    """Every row of pixels `(2 rows levels, columns)`, without and then with a dash; the reach in pixels."""
    pixel = (distance / zoom).view(-1, 1, 1)  # m on the ground
    # Further off the road is out of sight.
    reach = int(columns / 2 + (HALF_LANE + 0.5) * zoom / float(distance.min())) + 1
    middle = torch.arange(-reach * FINE, reach * FINE + 1, dtype=distance.dtype).view(1, -1, 1) / FINE
    column = torch.arange(columns, dtype=distance.dtype) - (columns - 1) / 2
    x = (column - middle) * pixel
    grass, grey, white = (sum(colour) / 3 / 255 for colour in (GRASS, TARMAC, PAINT))
    tables = []
    for dash in (False, True):
        tarmac, paint = _stripes(x, pixel, dash, marks)
        tables.append(((grass * (1 - tarmac) + grey * tarmac) * (1 - paint) + white * paint).flatten(0, 1))
    return torch.cat(tables), reach


def picture(state: Float[Tensor, "8"], along: float, height: int = 240, width: int = 320) -> np.ndarray:
    """The view from one car in colour with the sky above, `(height, width, 3)` of uint8: for human eyes."""
    horizon = height // 4
    distance = NEAREST / torch.linspace(1 / (height - horizon), 1, height - horizon, dtype=torch.float64)
    zoom = width / 2
    middle = state.cpu().double() @ road_ahead(distance)
    column = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    pixel = distance[:, None] / zoom
    dash = ((distance + along).remainder(DASH + GAP) < DASH)[:, None]
    shares = _stripes(-column * pixel - middle[:, None], pixel, dash, True)
    tarmac, paint = (share.unsqueeze(-1) for share in shares)
    grass, grey, white = (torch.tensor(colour, dtype=torch.float64) for colour in (GRASS, TARMAC, PAINT))
    ground = (grass * (1 - tarmac) + grey * tarmac) * (1 - paint) + white * paint
    sky = torch.tensor(SKY, dtype=torch.float64).expand(horizon, width, 3)
    return torch.cat([sky, ground]).round().to(torch.uint8).numpy()
