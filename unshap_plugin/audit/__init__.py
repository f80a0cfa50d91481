"""How far unlearning is from retraining."""

__all__: list[str] = []
