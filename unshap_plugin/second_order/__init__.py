"""Curvature of losses, and linear systems with it."""

__all__: list[str] = []
