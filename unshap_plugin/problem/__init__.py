"""What is asked: data, players, a model, and what may be looked at."""

__all__: list[str] = []
