"""A sweep is a list comprehension, whoever computes it and however often it is interrupted."""
import json
import math
import os
import signal
from pathlib import Path

import pytest

import ilsupport as il
from ilsupport import tabular
from ilsupport.runs import grid, sweep

joblib = pytest.importorskip("joblib", reason="needs the extra ilsupport[sweeps]")


def cost(eps, T, seed):
    walks = tabular.simulate(tabular.tightrope(), tabular.tightrope_learner(eps), T, 200, il.generator(seed))
    return list(il.Estimate.of(walks))


SETTINGS = grid(eps=[0.01, 0.1], T=[5, 50], seed=range(2))


def test_grid_is_every_combination_the_last_fastest():
    assert grid(a=[1, 2], b="xy") == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"},
                                      {"a": 2, "b": "y"}]
    with pytest.raises(ValueError, match="b has no values"):
        grid(a=[1], b=[])


@pytest.mark.parametrize("jobs", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_it_is_the_list_comprehension(jobs):
    assert sweep(cost, SETTINGS, jobs=jobs) == [cost(**setting) for setting in SETTINGS]


def test_what_is_in_the_folder_is_not_computed_again(tmp_path):
    calls = []

    def counted(**setting):
        calls.append(setting)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return cost(**setting)
    experiment = il.named("counted", counted)  # by what it closes over it would be another one each time
    with pytest.raises(KeyboardInterrupt):
        sweep(experiment, SETTINGS, folder=tmp_path)
    assert len(list(tmp_path.glob("*.json"))) == 4  # three results and whose they are
    before = len(calls)
    assert sweep(experiment, SETTINGS, folder=tmp_path) == [cost(**setting) for setting in SETTINGS]
    assert len(calls) - before == len(SETTINGS) - 3
    assert sweep(experiment, SETTINGS[::-1], folder=tmp_path) == [cost(**setting)
                                                                  for setting in SETTINGS[::-1]]
    assert len(calls) - before == len(SETTINGS) - 3


def test_results_that_are_false_or_not_finite_are_results(tmp_path):
    def odd(k):
        return [0, None, math.inf][k]
    for _ in range(2):
        assert sweep(odd, grid(k=range(3)), folder=tmp_path) == [0, None, math.inf]


def test_bad_settings_and_results():
    with pytest.raises(ValueError, match=r"the settings \{'k': 1\} come twice"):
        sweep(cost, [{"k": 1}, {"k": 2}, {"k": 1}])
    with pytest.raises(ValueError, match="are not JSON"):
        sweep(cost, [{"k": object()}])
    with pytest.raises(ValueError, match="returned set"):
        sweep(lambda k: {k}, [{"k": 1}])


def once_deadly(folder, k):
    """Says that it ran; and the first time that run 3 is tried, its worker dies of it."""
    mark = Path(folder) / "died"
    if k == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return k**2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_loses_a_worker_and_no_result(tmp_path):
    """Two local workers, one of which is killed: the same results as serial ones, each once."""
    distributed = pytest.importorskip("distributed", reason="needs dask's distributed")
    results = tmp_path / "results"
    settings = grid(folder=[str(tmp_path)], k=range(12))
    with (distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
          distributed.Client(cluster), joblib.parallel_config(backend="dask")):
        assert sweep(once_deadly, settings, folder=results) == [k**2 for k in range(12)]
    assert (tmp_path / "died").exists()
    kept = [json.loads(file.read_text()) for file in results.glob("*.json") if file.name != "experiment.json"]
    assert sorted(found["settings"]["k"] for found in kept) == list(range(12))


def test_a_damaged_result_is_named(tmp_path):
    sweep(cost, SETTINGS[:2], folder=tmp_path)
    (file, *_) = (path for path in tmp_path.glob("*.json") if path.name != "experiment.json")
    file.write_text(file.read_text()[:-9])
    with pytest.raises(ValueError, match=f"{file.name} is damaged .*; delete it"):
        sweep(cost, SETTINGS[:2], folder=tmp_path)
