"""torchrl: a replay buffer of tensors, a `TensorDictModule` and its Adam loop, on 17 -> 6."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
sys.path.remove(str(pathlib.Path(__file__).parent))  # this file is called like the package

import torch
from data import locomotion
from serve import seconds, serve
from tensordict import TensorDict
from tensordict.nn import TensorDictModule
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from torchrl.data.replay_buffers.samplers import SamplerWithoutReplacement
from torchrl.modules import MLP

OBS, ACT = map(torch.from_numpy, locomotion())


def epoch(batch):
    buffer = TensorDictReplayBuffer(storage=LazyTensorStorage(len(OBS)), sampler=SamplerWithoutReplacement(),
                                    batch_size=batch)
    buffer.extend(TensorDict({"observation": OBS, "action": ACT}, batch_size=[len(OBS)]))
    net = MLP(in_features=17, out_features=6, num_cells=[256, 256], activation_class=torch.nn.ReLU)
    policy = TensorDictModule(net, in_keys=["observation"], out_keys=["mean"])
    optimiser = torch.optim.Adam(policy.parameters(), lr=1e-3, fused=True)

    def run():
        for _ in range(len(OBS) // batch):
            sample = buffer.sample()
            loss = torch.nn.functional.mse_loss(policy(sample)["mean"], sample["action"])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return seconds(run)


serve({"loco256": lambda: epoch(256), "loco4096": lambda: epoch(4096)})
