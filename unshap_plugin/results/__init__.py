"""Values as they are given away: with their errors, ranks and payments, and compared with others."""

__all__: list[str] = []
