"""What can be wrong with tokens that only a model, or other tokens, show."""

from __future__ import annotations

from unshap_plugin.errors import InvalidValueError
from unshap_transformers.tokens import IGNORED, Tokens

__all__ = ["check_length", "check_sources", "check_vocabulary", "overlap"]


def check_sources(tokens: Tokens) -> None:
    """Raise unless there are at least two sources.

    Parameters
    ----------
    tokens
        The training rows ``[rows, length]``.

    Raises
    ------
    InvalidValueError
        If nobody said whose they are, or they are of a single source.

    Examples
    --------
    >>> from unshap_transformers import read_documents, tokenise
    >>> rows = [{"input_ids": [1, 2], "source": "a"}, {"input_ids": [3, 4], "source": "b"}]
    >>> check_sources(tokenise(read_documents(rows, "source"), None, 8))
    """
    if tokens.source is None:
        raise InvalidValueError(
            f"nothing says whose the documents of {tokens.name} are: name the column that does as source_column, or "
            f"give a folder with a sub-folder per source."
        )
    if len(set(tokens.source)) == 1:
        raise InvalidValueError(
            f"all documents of {tokens.name} that are learned are of the source {str(tokens.source[0])!r}, but values "
            f"compare at least two: give documents of another one."
        )


def check_length(max_length: int, positions: int | None) -> None:
    """Raise if rows may be longer than the model can read.

    Parameters
    ----------
    max_length
        The most tokens of a row.
    positions
        How many the model can read; ``None``: any number.

    Raises
    ------
    InvalidValueError
        If rows may be longer.

    Examples
    --------
    >>> check_length(1024, 1024)
    """
    if positions is not None and max_length > positions:
        raise InvalidValueError(
            f"max_length is {max_length}, but the model reads at most {positions} tokens: give max_length={positions} "
            f"or less."
        )


def check_vocabulary(tokens: Tokens, vocabulary: int) -> None:
    """Raise if there are tokens that the model does not know.

    Parameters
    ----------
    tokens
        Rows ``[rows, length]``.
    vocabulary
        The number of tokens for which the model has an embedding.

    Raises
    ------
    InvalidValueError
        If a token or a label is negative, or at least this number.

    Examples
    --------
    >>> from unshap_transformers import read_documents, tokenise
    >>> check_vocabulary(tokenise(read_documents([{"input_ids": [1, 2]}]), None, 8), vocabulary=3)
    """
    learned = tokens.labels[tokens.labels != IGNORED]
    for what, ids in (("token", tokens.input_ids), ("label", learned)):
        if not len(ids):  # of classifiers, which learn no token
            continue
        least, most = int(ids.min()), int(ids.max())
        if least < 0 or most >= vocabulary:
            raise InvalidValueError(
                f"{tokens.name} has the {what} {least if least < 0 else most}, but the model knows 0 to "
                f"{vocabulary - 1}: the tokenizer is another model's, or got tokens that the model did not get, so "
                f"give that of the model."
            )


def overlap(train: Tokens, test: Tokens) -> tuple[str, ...]:
    """Return a note if test documents were trained on, which flatters the sources that have them.

    A document counts whose first row has the tokens of a training row: all of it, unless it is longer than a row.

    Parameters
    ----------
    train, test
        Rows ``[rows, length]``, cut to the same greatest length.

    Returns
    -------
    The note, or nothing.

    Examples
    --------
    >>> from unshap_transformers import read_documents, tokenise
    >>> rows = [{"input_ids": [1, 2]}, {"input_ids": [3, 4]}]
    >>> train = tokenise(read_documents(rows[:1]), None, 8)
    >>> overlap(train, tokenise(read_documents(rows, name="eval_dataset"), None, 8))
    ('eval_dataset: 1 of 2 documents (50%) stand in train_dataset too, which flatters the sources that have them',)
    """
    known = set(_rows(train))
    firsts: dict[int, bytes] = {}
    for document, row in zip(test.document.tolist(), _rows(test), strict=True):
        firsts.setdefault(document, row)
    shared = sum(row in known for row in firsts.values())
    if not shared:
        return ()
    return (
        f"{test.name}: {shared} of {len(firsts)} documents ({shared / len(firsts):.0%}) stand in {train.name} too, "
        f"which flatters the sources that have them",
    )


def _rows(tokens: Tokens) -> list[bytes]:
    """Return the tokens of each row, without padding."""
    return [ids[:length].tobytes() for ids, length in zip(tokens.input_ids.numpy(), tokens.lengths, strict=True)]
