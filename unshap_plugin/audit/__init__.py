"""Audits, which measure how far unlearning is from retraining."""

__all__: list[str] = []
