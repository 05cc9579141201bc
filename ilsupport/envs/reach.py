"""A maze with the goal in the observation: what goals, play and relabelling are tried on (page 9).

The maze is drawn in text, a character a cell, and stretched over the square [-1, 1] x [-1, 1] from the top.
"""
from collections.abc import Sequence

import gymnasium
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from ilsupport._checks import check_finite, check_shape
from ilsupport.envs.base import Device, Env

# Three doors for four rooms: from the lower left to its neighbour on the right one goes all the way round.
FOUR_ROOMS = ("...#...", ".......", "...#...", "#.###.#", "...#...", "...#...", "...#...")
Places = Float[Tensor, "k 2"] | None
SPEED = 0.1  # the way of one step at velocity 1
RADIUS = 0.1  # a goal closer than this is reached
SKIN = 1e-4  # walls stop the point this far in front of them, out of reach of rounding


class Reach(Env):
    """`n` points in a maze, batched on any device. Who has arrived may stay.

    Observation `(n, 4)`: position, then goal, each (x, y) in [-1, 1]. Action `(n, 2)`: velocity, clipped to
    [-1, 1]; a step moves the point by `SPEED` times it, first along x, then along y. A point stops at a wall
    and slides along it. Reward: minus the cost of the step, which is 1 where it ends `RADIUS` or more from
    the goal. So the cost J of an episode is the number of steps spent away from the goal.

    maze           equally many rows and columns of "." (free) and "#" (wall), all free cells connected; at
                   most 16, so that a step is shorter than a cell
    starts, goals  places `(k, 2)` of which each episode draws one; None: anywhere in the free cells

    Raises ValueError for a maze that is not of that form, and a start or goal outside the square or inside a
    wall.
    """

    observation_space = gymnasium.spaces.Box(-1, 1, (4,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)

    def __init__(self, *, maze: Sequence[str] = FOUR_ROOMS, starts: Places = None, goals: Places = None,
                 horizon: int = 60, device: Device = "cpu", dtype: torch.dtype = torch.float32) -> None:
        super().__init__(horizon, device, dtype)
        if not 1 <= len(maze) <= 16 or {*map(len, maze)} != {len(maze)} or {*"".join(maze)} - {*".#"}:
            raise ValueError(f"maze is {list(maze)}, expected a square of '.' and '#', at most 16 x 16.")
        self.width, free = 2 / len(maze), torch.tensor([[cell == "." for cell in row] for row in maze])
        centres, hop, length = _plan(free)
        number = (free.flatten().long().cumsum(0) - 1).clamp(min=0).view_as(free)
        self.free, self.hop, self._number = free.to(device), hop.to(device), number.to(device)
        self.centres, self.length = centres.to(device, dtype), length.to(device, dtype)
        self._down = torch.tensor([1.0, -1.0], device=device, dtype=dtype)  # rows count downwards
        self.starts, self.goals = self._inside("start", starts), self._inside("goal", goals)

    def _first(self, n: int) -> Tensor:
        self._place, self._goal = self._draw(self.starts), self._draw(self.goals)
        return torch.cat([self._place, self._goal], 1)

    def _draw(self, given: Tensor | None) -> Tensor:
        if given is None:
            return self.places(self._n, self._generator)
        return given[torch.randint(len(given), (self._n,), generator=self._generator, device=self.device)]

    def _next(self, action: Tensor) -> tuple[Tensor, Tensor]:
        action, place = self._floats(action, 2), self._place
        for axis in (0, 1):
            row, column = self._grid(place)
            low = -1 + self.width * column if axis == 0 else 1 - self.width * (row + 1)
            place = place.clone()
            wanted = (place[:, axis] + SPEED * action[:, axis].clamp(-1, 1)).clamp(SKIN - 1, 1 - SKIN)
            place[:, axis] = wanted
            kept = torch.maximum(torch.minimum(wanted, low + self.width - SKIN), low + SKIN)
            place[:, axis] = torch.where(self.free[self._grid(place)], wanted, kept)
        self._place = place
        away = (place - self._goal).norm(dim=1) >= RADIUS
        return torch.cat([place, self._goal], 1), -away.to(self.dtype)

    def places(self, n: int, generator: torch.Generator) -> Float[Tensor, "n 2"]:
        """`n` places drawn evenly from the free cells."""
        cell = torch.randint(len(self.centres), (n,), generator=generator, device=self.device)
        shift = torch.rand(n, 2, generator=generator, device=self.device, dtype=self.dtype) - 0.5
        return self.centres[cell] + shift * (self.width - 2 * SKIN)

    def cell(self, place: Float[Tensor, "*n 2"]) -> Int[Tensor, "*n"]:
        """The number of the free cell a place lies in, row by row from the top; in a wall that of another."""
        return self._number[self._grid(place)]

    def distance(self, place: Float[Tensor, "*n 2"], goal: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n"]:
        """About the length of the expert's way: straight to a goal in sight, else over middles of cells.

        The expert cuts corners on that, by little more than a cell's width. Shapes broadcast. Raises
        ValueError for a place or goal outside the square or inside a wall; it reads from the device, so call
        it outside of a step loop.
        """
        for name, given in (("place", place), ("goal", goal)):
            self._inside(name, given.reshape(-1, 2))
        here, there = self.cell(place), self.cell(goal)
        via = self.hop[here, there]
        round_the_corner = (self.centres[via] - place).norm(dim=-1) + self.length[via, there]
        return torch.where(via == there, (goal - place).norm(dim=-1), round_the_corner)

    def _grid(self, place: Tensor) -> tuple[Tensor, Tensor]:
        """Row and column of each place."""
        cell = ((1 + place * self._down) / self.width).long().clamp(0, len(self.free) - 1)
        return cell[..., 1], cell[..., 0]

    def _inside(self, name: str, places: Tensor | None) -> Tensor | None:
        if places is None:
            return None
        check_finite(f"{name}s", check_shape(f"{name}s", places, ("k", 2)))
        places = places.to(self.device, self.dtype)
        good = (places.abs() <= 1).all(1) & self.free[self._grid(places)]
        if not bool(good.all()):
            x, y = places[~good][0].tolist()
            raise ValueError(f"{name} [{x:.4g}, {y:.4g}] lies in a wall or outside; choose a free cell.")
        return places


def _plan(free: Bool[Tensor, "rows columns"]) -> tuple[Tensor, Tensor, Tensor]:
    """Centres of the S free cells `(S, 2)`; the cell to head for from one to another, and the way's length.

    A cell sees another if the rectangle that they span holds no wall: then every straight line between them
    is free. The way runs from cell to cell in sight (Floyd and Warshall). Along it the length left falls with
    every cell entered, also for a point that is not in the middle of one, so that nobody who follows it walks
    in circles.
    """
    cells = free.nonzero()
    if len(cells) == 0:
        raise ValueError("the maze has no free cell, expected at least one '.'.")
    walls = pad((~free).long().cumsum(0).cumsum(1), (1, 0, 1, 0))  # walls above and left of each corner
    top, left = torch.minimum(cells[:, None], cells).unbind(-1)
    bottom, right = torch.maximum(cells[:, None], cells).unbind(-1)
    inside = walls[bottom + 1, right + 1] - walls[top, right + 1] - walls[bottom + 1, left] + walls[top, left]
    centres = (cells.flip(1).double() + 0.5) * 2 / len(free) * torch.tensor([1, -1]) - torch.tensor([1, -1])
    edge = torch.where(inside == 0, torch.cdist(centres, centres), torch.inf)
    length = edge.clone()
    for k in range(len(cells)):
        length = torch.minimum(length, length[:, k:k + 1] + length[k])
    if bool(length.isinf().any()):
        raise ValueError("the maze falls apart into rooms without a door, expected connected free cells.")
    edge.fill_diagonal_(torch.inf)
    hop = (edge[:, :, None] + length).argmin(1)
    return centres, hop.fill_diagonal_(0) + torch.diag(torch.arange(len(cells))), length
