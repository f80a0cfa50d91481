"""A ``conftest.py`` for OpenDataVal's own tests: it puts our evaluators into the list of their dry run."""

from __future__ import annotations

import numpy as np
from unshap_opendataval import UnlearningBanzhaf, UnlearningBetaShapley, UnlearningLOO, UnlearningShapley

OURS = []


def pytest_collection_modifyitems(items):
    """Their list is a global variable of the module with the dry run."""
    (module,) = {item.module for item in items if item.name == "test_dry_run"}
    for kind in (UnlearningShapley, UnlearningBanzhaf, UnlearningBetaShapley, UnlearningLOO):
        OURS.append(kind(unlearner="retrain", random_state=module.RANDOM_STATE))
    module.dummy_evaluators.extend(OURS)


def pytest_runtest_teardown(item):
    """The dry run must have made values with them, for its sixteen points."""
    if item.name == "test_dry_run":
        assert [one.data_values.shape for one in OURS] == [(16,)] * 4
        assert all(np.isfinite(one.data_values).all() for one in OURS)
