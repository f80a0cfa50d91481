"""Coalitions turned into utilities: in one pass, and in many, in this process or in others."""

__all__: list[str] = []
