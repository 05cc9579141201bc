"""Numbers small enough to stand in a page, as text that its JavaScript unpacks."""
from __future__ import annotations

import base64
import json
import zlib

from torch import Tensor


def packed(value: object) -> str:
    """What JSON can hold, compressed: what repeats itself, from frame to frame, packs to a fraction."""
    return _text(zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 9))


def halves(x: Tensor) -> str:
    """The numbers of a tensor, row by row, as float16."""
    return _text(x.detach().cpu().half().numpy().tobytes())


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
