"""Unlearning for pyDVL: a method of valuation beside its own, and a utility for its samplers."""

from unshap_plugin.frameworks import check_framework

check_framework("pydvl")

from unshap_pydvl.utility import UnlearningUtility
from unshap_pydvl.valuation import UnlearningValuation

__all__ = ["UnlearningUtility", "UnlearningValuation"]
