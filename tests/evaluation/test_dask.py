"""Games on a cluster of dask: the bits of one process, also where a worker is killed."""

from __future__ import annotations

import functools
import logging
import os
import shlex

import distributed
import joblib
import numpy as np
import pytest
from advice import Case, check, without_a_case
from clusters import COALITIONS, at_work, game, killing_one, noting, unpacked
from problems import known_of
from readme import blocks

from unshap_plugin import shapley_values
from unshap_plugin.cli.main import main
from unshap_plugin.errors import JobError
from unshap_plugin.evaluation.workers import _Dask

PAGE = "docs/clusters.md"


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL
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
    assert known_of(one) == known_of(two)


def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(client, tmp_path):
    expected = game(noting(tmp_path), n_jobs=1)(COALITIONS)
    killed = killing_one(tmp_path, after=10)
    assert np.array_equal(game(noting(tmp_path, 0.05), chunk=1)(COALITIONS), expected)
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


def test_workers_with_other_software_are_refused(client, monkeypatch):
    monkeypatch.setattr("unshap_plugin.evaluation.remote.version", lambda name: "0.5")
    with pytest.raises(JobError, match=r"a worker has other software, .*numpy \S+ there and 0.5 here.*: install"):
        game()(COALITIONS)


def test_the_page_about_clusters_does_what_it_says(cluster, tmp_path, capsys, monkeypatch):
    lend, sent = _Dask.lend, []
    monkeypatch.setattr(_Dask, "lend", lambda self, parcel: sent.append(parcel) or lend(self, parcel))
    monkeypatch.chdir(tmp_path)
    address = "tcp://10.0.0.1:8786"
    page = {name: text.replace(address, cluster.scheduler_address) for name, (_, text) in blocks(PAGE).items()}
    program, *there = shlex.split(page["command"])
    here = [one for one in there if one not in ("--scheduler", cluster.scheduler_address)]
    assert program == "unshap"
    assert main(there) == 0
    assert len(sent) == 1, "it went there"
    assert main([*here, "--out", "here"]) == 0
    assert len(sent) == 1
    assert (tmp_path / "values" / "values.csv").read_bytes() == (tmp_path / "here" / "values.csv").read_bytes()
    capsys.readouterr()
    exec(page["dask"], {})
    assert len(sent) == 2
    assert "75 players" in capsys.readouterr().out


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nowhere", "http://127.0.0.1:9"])
def test_an_address_where_nobody_answers_is_one_sentence(address, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("unshap_plugin.cli._scheduler.SECONDS", 0.5)
    made = []
    monkeypatch.setattr(distributed.Client, "__init__", lambda self, *args, **kwargs: made.append(args))
    assert main(["value", "--example", "iris", "--scheduler", address, "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"unshap: error: no dask scheduler answers at {address!r} within 0.5 seconds: give the address that 'dask "
        f"scheduler' prints when it starts, such as tcp://10.0.0.1:8786.\n"
    )
    assert not made, "one that finds nobody may be collected while another begins, and then waits for ever"


def cases(cluster, monkeypatch):
    """What goes wrong on a cluster alone, and what is advised."""
    home = os.getpid()

    def deadly(outputs, targets):
        if os.getpid() != home:
            os._exit(1)
        return 0.0

    def on_the_cluster(metric="log_likelihood", **kwargs):
        with distributed.Client(cluster) as client, joblib.parallel_config("dask", client=client):
            return np.isfinite(game(metric, **kwargs)(COALITIONS)).all()

    def without_workers():
        with (
            distributed.LocalCluster(n_workers=0, dashboard_address=":0", silence_logs=logging.CRITICAL) as empty,
            distributed.Client(empty) as client,
            joblib.parallel_config("dask", client=client, wait_for_workers_timeout=0.2),
        ):
            game()

    def given_up():
        monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)
        on_the_cluster(deadly)

    def works(**kwargs):
        assert on_the_cluster(**kwargs)

    alone = functools.partial(works, n_jobs=1)
    return [
        Case("no workers", without_workers, ": start some, or use n_jobs=1.", (works, alone)),
        Case("a task that kills its worker", given_up, "see the logs of its workers, or use n_jobs=1.", (alone,)),
    ]


def test_what_an_error_of_a_cluster_advises_helps(cluster, monkeypatch):
    found = cases(cluster, monkeypatch)
    for case in found:
        check(case)
    assert without_a_case(["unshap_plugin/evaluation/workers.py"], found) == []
