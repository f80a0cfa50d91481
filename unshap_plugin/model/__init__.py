"""What a model is to this package; nothing here knows of values."""

__all__: list[str] = []
