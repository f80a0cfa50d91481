"""Evaluated coalitions on disk, under the fingerprint of what their utilities depend on."""

__all__: list[str] = []
