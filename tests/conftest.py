"""Every test that touches tensors runs on every device present."""
import pytest
import torch
from built import pytest_testnodedown  # noqa: F401  (a hook)

DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])


@pytest.fixture(params=DEVICES)
def device(request):
    return torch.device(request.param)


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param
