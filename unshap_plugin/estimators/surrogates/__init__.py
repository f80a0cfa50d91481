"""Surrogates: functions of coalitions that are fitted to utilities and have known Shapley values. One a file."""

from unshap_plugin.estimators.surrogates.choice import SURROGATES, Fitted, fit

__all__ = ["SURROGATES", "Fitted", "fit"]
