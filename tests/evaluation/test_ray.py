"""Games on a cluster of ray: the bits of one process, also where a worker is killed."""

from __future__ import annotations

import joblib
import numpy as np
import pytest
import ray
from clusters import COALITIONS, at_work, game, killing_one, noting
from ray.util.joblib import register_ray

# ray keeps a log file open until its process ends, and asks for settings by a name that it has given up.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning:ray", "ignore:Tip")


@pytest.fixture(scope="module")
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    register_ray()
    with joblib.parallel_config("ray"):
        yield
    ray.shutdown()


def test_a_worker_that_is_killed_is_replaced_and_the_bits_are_those_of_one_process(cluster, tmp_path):
    expected = game(noting(tmp_path), n_jobs=1)(COALITIONS)
    killed = killing_one(tmp_path, after=10)
    played = game(noting(tmp_path, 0.05), chunk=1)
    assert played._passes.jobs() == 2
    assert np.array_equal(played(COALITIONS), expected)
    times = at_work(tmp_path)
    assert 10 <= times[killed[0]] < len(COALITIONS) / 2, "it was killed halfway"
    assert len(times) >= 3, "and somebody took its place"
    assert sum(times.values()) >= len(COALITIONS) - 2, "all but what this process did first"
