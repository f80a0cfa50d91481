"""Conformance checks of data valuation against the Shapley axioms: the package is reserved, the suite is to come."""

__all__: list[str] = []
