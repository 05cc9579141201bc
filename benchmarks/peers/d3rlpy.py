"""d3rlpy: `BC` on 17 -> 6 with two hidden layers of 256, data in memory."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
sys.path.remove(str(pathlib.Path(__file__).parent))  # this file is called like the package

import d3rlpy
import numpy as np
from data import locomotion
from serve import seconds, serve

OBS, ACT = locomotion()
STEPS = 40


def epoch(batch):
    """Seconds an epoch, extrapolated from 40 steps (d3rlpy fetches and collates every batch anew)."""
    ends = np.zeros(len(OBS), dtype=np.float32)
    ends[999::1000] = 1
    dataset = d3rlpy.dataset.MDPDataset(OBS, ACT, np.zeros(len(OBS), np.float32), ends)
    algo = d3rlpy.algos.BCConfig(batch_size=batch).create(device="cpu:0")
    algo.build_with_dataset(dataset)
    algo.update(dataset_batch(dataset, batch))

    def run():
        for _ in range(STEPS):
            algo.update(dataset_batch(dataset, batch))
    return seconds(run) * (len(OBS) // batch) / STEPS


def dataset_batch(dataset, batch):
    return dataset.sample_transition_batch(batch)


serve({"loco256": lambda: epoch(256), "loco4096": lambda: epoch(4096)})
