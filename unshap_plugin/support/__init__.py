"""What any program needs, and what knows nothing of models or values: text, files, memory, threads, processes."""

__all__: list[str] = []
