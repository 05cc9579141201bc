"""Small networks: on one torch thread, with the user's setting back afterwards, and in memory that stays."""
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

# Multiply-adds a forward pass below which a second thread costs more than it brings: when two torch processes
# share
# the cores (parallel tests, two notebooks), waiting for the other thread turns 0.04 ms into 30 ms.
SMALL = 10**7


# glibc gives a large block back to the system when it is freed, and the next step fetches its pages anew, at
# half the time of a forward pass 4,096 wide. Once it has freed one of 16 MB it keeps what is smaller.
torch.empty(2**24, dtype=torch.uint8)


@contextmanager
def one_thread(work: int, device: torch.device) -> Iterator[None]:
    """Run on one torch thread if `work` multiply-adds on `device` are a small job; restore the setting on the
    way out.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if device.type == "cpu" and work <= SMALL else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def work_of(policy: object, rows: int) -> int:
    """Multiply-adds of one forward pass of `policy` over `rows` observations (a student, for a stack); 0 if
    unknown.
    """
    return rows * sum(p.numel() for p in policy.parameters()) if isinstance(policy, nn.Module) else 0
