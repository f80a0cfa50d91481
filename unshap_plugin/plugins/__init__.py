"""What plugins offer, and how it is found by name."""

__all__: list[str] = []
