"""What is measured side by side: the rows of the benchmark, their contenders and their bars."""
from __future__ import annotations

from typing import NamedTuple


class Against(NamedTuple):
    """`task` of `worker`, and the factor by which ours must beat it."""

    name: str
    worker: str
    task: str
    bar: float


class Row(NamedTuple):
    title: str
    unit: str  # "s" or "ms": less is better; "steps/s": more is
    ours: str
    against: list[Against]
    repeats: int = 5
    device: bool = True  # worth a look on a GPU: our own tensors do the work


ROWS = {
    "bc32": Row(
        "BC, CartPole data, batch 32, 2×32 net",
        "s an epoch",
        "bc32",
        [Against("imitation", "imitation", "bc32", 4.5), Against("bare loop", "ours", "bc32 bare", 0)],
    ),
    "bc256": Row(
        "BC, CartPole data, batch 256, 2×64 net",
        "s an epoch",
        "bc256",
        [Against("imitation", "imitation", "bc256", 6), Against("bare loop", "ours", "bc256 bare", 0)],
    ),
    "loco256": Row(
        "BC, 17→6, 2×256 net, batch 256",
        "s an epoch",
        "loco256",
        [
            Against("d3rlpy", "d3rlpy", "loco256", 2),
            Against("torchrl", "torchrl", "loco256", 1.3),
            Against("bare loop", "ours", "loco256 bare", 0.95),
            Against("ours without standardising", "ours", "loco256 raw", 0.97),
        ],
    ),
    "loco4096": Row(
        "BC, 17→6, 2×256 net, batch 4,096",
        "s an epoch",
        "loco4096",
        [
            Against("d3rlpy", "d3rlpy", "loco4096", 2),
            Against("torchrl", "torchrl", "loco4096", 1.0),
            Against("bare loop", "ours", "loco4096 bare", 0.95),
        ],
    ),
    "bf16-256": Row(
        "the same in bfloat16, batch 256", "s an epoch", "loco256 bf16",
        [Against("our float32", "ours", "loco256", 0)]
    ),
    "bf16-4096": Row(
        "the same in bfloat16, batch 4,096", "s an epoch", "loco4096 bf16",
        [Against("our float32", "ours", "loco4096", 0)]
    ),
    "bf16-loss": Row(
        "held-out squared error in bfloat16",
        "error",
        "held-out bf16",
        [Against("float32", "ours", "held-out float32", 0.95)],
        1,
        False,
    ),
    "stack": Row(
        "16 students stacked, batch 32, per student", "s an epoch", "stack32",
        [Against("imitation", "imitation", "bc32", 25)]
    ),
    "dagger": Row(
        "DAgger, 5 rounds, 20,000 labels, CartPole", "s", "dagger",
        [Against("imitation", "imitation", "dagger", 5)], 3, False
    ),
    "evaluate": Row(
        "100 CartPole episodes with a policy", "s", "evaluate",
        [
            Against("SB3 evaluate_policy, 8 envs", "stable_baselines3", "evaluate", 10),
            Against("gymnasium's own vector environment alone", "ours", "evaluate alone", 1 / 1.3),
        ],
        device=False,
    ),
    "halfcheetah": Row(
        "HalfCheetah demonstrations, a 2×256 policy",
        "steps/s",
        "cheetah",
        [
            Against("the bare environment, no policy", "ours", "cheetah bare", 1),
            Against("gymnasium AsyncVectorEnv(8), no policy", "ours", "cheetah async", 1),
            Against("ours in one process", "ours", "cheetah one process", 0),
        ],
        device=False,
    ),
    "policy-steps": Row(
        "steps with a 2×64 policy, 4,096 wide",
        "steps/s",
        "policy steps",
        [
            Against("gymnasium SyncVectorEnv(64)", "ours", "policy steps sync", 12),
            Against("forward pass alone", "ours", "policy steps forward", 0.85),
        ],
    ),
    "bare-steps": Row(
        "steps without a policy, 65,536 wide",
        "steps/s",
        "bare steps",
        [Against("gymnasium CartPoleVectorEnv", "ours", "bare steps gymnasium", 1)],
    ),
    "import": Row(
        "import ilsupport",
        "s",
        "import",
        [
            Against("import torch, gymnasium", "ours", "import base", 1 / 1.1),
            Against("import imitation", "imitation", "import", 1),
        ],
        device=False,
    ),
}
