"""Arithmetic whose numbers do not depend on how many others are computed beside them."""

__all__: list[str] = []
