"""Results made of numbers alone."""

from __future__ import annotations

import numpy as np

from unshap_plugin import ValuationResult


def made(values, std_errors=0.0, degrees_of_freedom=np.inf, *, players=None, missing=0.0, **fields):
    """A result whose values lack so much of the sum that they should have."""
    values = np.asarray(values, dtype=np.float64)
    given = {
        "players": tuple(range(len(values))) if players is None else tuple(players),
        "values": values,
        "std_errors": np.broadcast_to(np.asarray(std_errors, dtype=np.float64), values.shape),
        "degrees_of_freedom": np.broadcast_to(np.asarray(degrees_of_freedom, dtype=np.float64), values.shape),
        "metric": "accuracy",
        "columns": (),
        "utility_all": values.sum(axis=0) + missing,
        "utility_none": np.zeros(values.shape[1:]),
        "evaluations": 100,
        "asked": 100,
        "excluded": 0,
        "estimator": "stratified",
        "unlearner": "newton",
        "settings": {},
        "seed": 0,
        "game_seed": 0,
        "access": "full",
        "seconds": 1.0,
        "versions": {},
        "reasons": {},
    }
    return ValuationResult(**{**given, **fields})
