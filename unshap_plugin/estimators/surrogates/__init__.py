"""Surrogates: functions of coalitions that are fitted to utilities and have known Shapley values. One a file."""

from unshap_plugin.estimators.surrogates.assisted import Assisted
from unshap_plugin.estimators.surrogates.choice import CHOSEN, SURROGATES, Fitted, fit
from unshap_plugin.estimators.surrogates.gaussian_process import MOST_PLAYERS
from unshap_plugin.estimators.surrogates.linear import LARGEST

__all__ = ["CHOSEN", "LARGEST", "MOST_PLAYERS", "SURROGATES", "Assisted", "Fitted", "fit"]
