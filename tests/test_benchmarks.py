"""What `make bench` makes of its measurements; the measuring itself takes minutes and is no test."""
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import ilsupport as il

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))
import bench  # noqa: E402
import data  # noqa: E402
import report  # noqa: E402
import rows  # noqa: E402

RATES = {("ours", "a"): 3e6, ("ours", "b"): 1e6, ("ours cuda", "a"): 12e6}


class Worker:
    def __init__(self, name):
        self.name = name

    def ask(self, task):
        return RATES[self.name, task]


@pytest.mark.parametrize("unit, ours, there", [("steps/s", 3, 4), ("s", 1 / 3, 1 / 4)])
def test_a_device_gets_a_column_of_its_own_beside_the_processors(unit, ours, there, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "Worker", Worker)
    row = rows.Row("a thing", unit, "a", [rows.Against("peer", "ours", "b", 2)])
    plain, found = (bench.measure(row, {}, device) for device in (None, "cuda"))
    assert list(plain["samples"]) == ["ours",
                                      "peer"] and list(found["samples"]) == ["ours", "peer", "ours on cuda"]
    assert list(bench.measure(row._replace(device=False), {}, "cuda")["samples"]) == ["ours", "peer"]
    found["verdicts"] = bench.verdicts(row, found)
    ratios = {v["peer"]: v["ratio"] for v in found["verdicts"]}
    assert ratios == pytest.approx({"peer": ours, "ours on cuda": there})
    path = tmp_path / "here.json"
    path.write_text(json.dumps({"machine": {"GPU": "of some kind"}, "rows": {"x": found}}))
    report.write_report(path, {"x": row})
    text = path.with_suffix(".md").read_text()
    assert "of some kind. A ratio of ours on a GPU is to ours on the processor." in text
    assert "ours on cuda |" in text and f"{there:.2f}× | report" in text


def test_every_contender_is_taught_by_the_expert_of_page_1():
    obs, action = data.cartpole()
    assert np.mean(il.cartpole_expert(torch.from_numpy(obs)).numpy() == action) > 0.9999  # but for rounding
