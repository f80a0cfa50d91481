"""What the outputs of a model are, and how well they answer: what losses and metrics are built of."""

__all__: list[str] = []
