"""Values as a page of HTML: one file that can be sent, opened offline and printed, and the table of notebooks."""

__all__: list[str] = []
