"""Models, as this package sees them; nothing here knows of values."""

__all__: list[str] = []
