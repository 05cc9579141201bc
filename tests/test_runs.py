"""A sweep is a list comprehension, whoever computes it and however often it is interrupted."""
import itertools
import math
import os
import signal
from pathlib import Path

import pytest

import ilsupport as il
from ilsupport import tabular
from ilsupport.files import read_tensors
from ilsupport.runs import KIND, sweep

joblib = pytest.importorskip("joblib", reason="needs the extra ilsupport[sweeps]")


def cost(eps, T, seed):
    walks = tabular.simulate(tabular.tightrope(), tabular.tightrope_learner(eps), T, 200, il.generator(seed))
    return list(il.Estimate.of(walks))


SETTINGS = [dict(eps=eps, T=T, seed=seed) for eps, T, seed in itertools.product([0.01, 0.1], [5, 50], [0, 1])]


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
    assert len(list(tmp_path.iterdir())) == 3
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
        assert sweep(odd, [{"k": k} for k in range(3)], folder=tmp_path) == [0, None, math.inf]


def test_bad_settings_and_results():
    with pytest.raises(ValueError, match=r"the settings \{'k': 1\} come twice"):
        sweep(cost, [{"k": 1}, {"k": 2}, {"k": 1}])
    with pytest.raises(ValueError, match="is no JSON"):
        sweep(cost, [{"k": object()}])
    with pytest.raises(ValueError, match="result .* is no JSON: .*set"):
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
    settings = [{"folder": str(tmp_path), "k": k} for k in range(12)]
    with (distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
          distributed.Client(cluster), joblib.parallel_config(backend="dask")):
        assert sweep(once_deadly, settings, folder=results) == [k**2 for k in range(12)]
    assert (tmp_path / "died").exists()
    kept = [read_tensors(file, KIND)[1]["state"] for file in results.iterdir()]
    assert sorted(found["settings"]["k"] for found in kept) == list(range(12))


def test_a_damaged_result_is_named(tmp_path):
    sweep(cost, SETTINGS[:2], folder=tmp_path)
    file, _ = tmp_path.iterdir()
    whole = file.read_bytes()
    for damaged in (whole[:-9], whole.replace(b"0.01", b"0.02"), b""):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=f"{file.name} .*(damaged|truncated).*Delete it"):
            sweep(cost, SETTINGS[:2], folder=tmp_path)
