"""Games on a cluster of dask: the bits of one process, also where a worker is killed."""

from __future__ import annotations

import logging
import os

import dask
import distributed
import joblib
import numpy as np
import pytest
from clusters import COALITIONS, at_work, game, killing_one, noting, unpacked

from unshap_plugin import shapley_values
from unshap_plugin.errors import JobError


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL
    ) as started:
        yield started


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster) as connected, joblib.parallel_config("dask"):
        connected.wait_for_workers(2, timeout=60)
        yield connected


def test_values_are_the_bits_of_one_process(client, tmp_path):
    one, two = game(noting(tmp_path), n_jobs=1), game(noting(tmp_path))
    first, second = (shapley_values(played, "permutation", 100) for played in (one, two))
    assert set(at_work(tmp_path)) == {int(process) for process in client.run(os.getpid).values()}
    assert np.array_equal(first.values, second.values)
    assert np.array_equal(first.std_errors, second.std_errors)
    for ours, theirs in zip(one.known(), two.known(), strict=True):
        assert np.array_equal(ours, theirs)


def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(client, tmp_path):
    expected = game(noting(tmp_path), n_jobs=1)(COALITIONS)
    killed = killing_one(tmp_path, after=10)
    assert np.array_equal(game(noting(tmp_path, 0.1), chunk=1)(COALITIONS), expected)
    times = at_work(tmp_path)
    assert 10 <= times[killed[0]] < len(COALITIONS) / 2, "it was killed halfway"
    assert len(times) == 3, "and somebody took its place"
    assert sum(times.values()) >= len(COALITIONS) - 2, "all but what this process did first"


def test_the_problem_travels_once_to_a_worker(client, tmp_path):
    played = game(unpacked(tmp_path))
    for some in np.split(COALITIONS[:90], 3):
        played(some)
    assert set(at_work(tmp_path).values()) == {1}
    assert set(at_work(tmp_path)) <= {int(process) for process in client.run(os.getpid).values()}


def test_a_task_that_kills_every_worker_is_an_error(client):
    home = os.getpid()

    def deadly(outputs, targets):
        if os.getpid() != home:
            os._exit(1)
        return 0.0

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        pytest.raises(JobError, match=r"the dask cluster could not go on \(KilledWorker.*, or use n_jobs=1\.$"),
    ):
        game(deadly)(COALITIONS)
