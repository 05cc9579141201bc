"""The kernel in the sandbox: ipykernel, without what takes seconds to import and no grading needs. A
script of its own."""
from __future__ import annotations

import sys
from types import ModuleType

sys.modules["rfc3987_syntax"] = None  # jsonschema's grammar of addresses
sys.modules["otter.api"] = ModuleType("otter.api")  # Otter's commands; its checks do without

from ipykernel.kernelapp import launch_new_instance  # noqa: E402

launch_new_instance()
