"""`fit` under torchrun: two processes with half a batch each learn what one learns with the whole."""
import os
import subprocess
import sys
import textwrap

import pytest
import torch
from safetensors.torch import load_file

import ilsupport as il

SCRIPT = textwrap.dedent("""
    import sys
    import torch
    from safetensors.torch import save_file
    import ilsupport as il
    torch.distributed.init_process_group("gloo")
    obs = torch.randn(200, 3, generator=il.generator(0), dtype=torch.float64)
    policy = il.Gaussian(3, 1, generator=il.generator(0), hidden=(8,), dtype=torch.float64)
    history = il.fit(policy, (obs, obs[:, :1].sin()), generator=il.generator(1), steps=60, batch_size=16)
    def train(steps):
        policy = il.Gaussian(3, 1, generator=il.generator(0), hidden=(8,), dtype=torch.float64)
        made = il.fit(policy, (obs, obs[:, :1].sin()), generator=il.generator(1), steps=steps, batch_size=16,
                      checkpoint=sys.argv[1] + ".fit")
        torch.distributed.barrier()  # the first process writes; in a run of its own the second would find the file whole
        return made.losses
    train(30)
    assert torch.equal(train(60), history.losses)
    if torch.distributed.get_rank() == 0:
        save_file({"losses": history.losses}, sys.argv[1])
    try:
        il.fit(policy, (obs, obs[:, :1]), generator=il.generator(1), steps=1, batch_size=15)
    except ValueError as error:
        assert "batch_size is 15 for 2 processes, expected a multiple" in str(error)
    else:
        raise SystemExit("15 is no multiple of 2")
    noisy = il.Latent(3, 1, generator=il.generator(0), dtype=torch.float64)
    try:
        il.fit(noisy, (obs, obs[:, :1]), generator=il.generator(1), steps=1, batch_size=16, checkpoint=sys.argv[1] + ".noisy")
    except ValueError as error:
        assert "a checkpoint keeps those of one" in str(error)
    else:
        raise SystemExit("a checkpoint would lose the noise of the second process")
    torch.distributed.destroy_process_group()
""")


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path):
    if not torch.distributed.is_available():
        pytest.skip("this build of torch has no torch.distributed")
    (tmp_path / "train.py").write_text(SCRIPT)
    subprocess.run([sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
                    tmp_path / "train.py", tmp_path / "losses"], check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    obs = torch.randn(200, 3, generator=il.generator(0), dtype=torch.float64)
    policy = il.Gaussian(3, 1, generator=il.generator(0), hidden=(8,), dtype=torch.float64)
    alone = il.fit(policy, (obs, obs[:, :1].sin()), generator=il.generator(1), steps=60, batch_size=16)
    torch.testing.assert_close(load_file(tmp_path / "losses")["losses"], alone.losses, rtol=1e-9, atol=1e-12)
