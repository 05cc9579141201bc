"""Hindsight: whatever an episode reached was the goal of somebody who wanted to go there (page 9)."""
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ilsupport._checks import check_horizon
from ilsupport.random import rand
from ilsupport.trajectories import Trajectories


def relabel(trajectories: Trajectories, *, generator: torch.Generator, ahead: int | None = None,
            copies: int = 1, goal_dim: int = 2) -> tuple[Float[Tensor, "N obs"], Shaped[Tensor, "N *act"]]:
    """Every real step as a step towards a place reached later in the same episode: pairs for `fit`.

    An observation begins with what has been achieved (`goal_dim` numbers, on `Reach` the position) and ends
    with the goal (as many). The pair of step t keeps the observation and the action *played*, labels or not,
    and its goal becomes what was achieved k steps later, with k drawn evenly from 1 to what is left of the
    episode, or to `ahead` if that is less. The episode's last state counts as reached if `final_observations`
    were kept; without them a last step is left out.

    ahead   the longest k; None: the rest of the episode
    copies  how often each step is relabelled, with a fresh k each time

    The pairs come copy by copy, then episode by episode, on the trajectories' device. Andrychowicz and others
    (2017) relabel so, with the strategy they call "future"; Lynch and others (2019) within windows of play.
    Raises ValueError for observations that are too short to hold a goal, `ahead` or `copies` below 1, and for
    episodes in which nothing comes later.
    """
    obs, final = trajectories.observations, trajectories.final_observations
    if obs.ndim != 3 or not 1 <= goal_dim <= obs.shape[2] // 2:
        raise ValueError(f"observations have shape {tuple(obs.shape)} and goal_dim is {goal_dim}, expected "
                         "(n, T, obs) with at least goal_dim numbers achieved and goal_dim numbers of goal.")
    check_horizon(copies, "copies")
    last = trajectories.lengths() - 1  # the last step of each episode whose achievement is known
    achieved = obs[..., :goal_dim]
    if final is not None:
        achieved = torch.cat([achieved, torch.zeros_like(achieved[:, :1])], 1)
        last = last + 1
        achieved[torch.arange(len(last), device=last.device), last] = final[:, :goal_dim]
    episode, t = trajectories.mask.nonzero().unbind(1)
    left = last[episode] - t
    if ahead is not None:
        left = left.clamp(max=check_horizon(ahead, "ahead"))
    episode, t, left = (x[left > 0].repeat(copies) for x in (episode, t, left))
    if len(t) == 0:
        raise ValueError("nothing was reached in one step; keep final_observations or roll out longer.")
    k = 1 + (rand((len(t),), generator, obs) * left).long().clamp(max=left - 1)
    goal = achieved[episode, t + k]
    return torch.cat([obs[episode, t, :-goal_dim], goal], 1), trajectories.actions[episode, t]
