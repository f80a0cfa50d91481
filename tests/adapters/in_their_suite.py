"""A ``conftest.py`` for OpenDataVal's own tests: it puts our evaluator into the list of their dry run."""

from __future__ import annotations

import numpy as np
from unshap_opendataval import UnlearningShapley

OURS = []


def pytest_collection_modifyitems(items):
    """Their list is a global variable of the module with the dry run."""
    (module,) = {item.module for item in items if item.name == "test_dry_run"}
    OURS.append(UnlearningShapley(unlearner="retrain", random_state=module.RANDOM_STATE))
    module.dummy_evaluators.extend(OURS)


def pytest_runtest_teardown(item):
    """The dry run must have made values with it, for its sixteen points."""
    if item.name == "test_dry_run":
        assert [one.data_values.shape for one in OURS] == [(16,)]
        assert np.isfinite(OURS[0].data_values).all()
