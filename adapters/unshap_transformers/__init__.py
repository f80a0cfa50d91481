"""Language models of transformers: what each source of their text was worth, and text as rows of tokens."""

from unshap_transformers.checks import check_length, check_sources, check_vocabulary, overlap
from unshap_transformers.documents import Documents, read_documents
from unshap_transformers.problems import source_problem
from unshap_transformers.sources import source_game, value_sources
from unshap_transformers.tokens import Tokens, tokenise

__all__ = [
    "Documents",
    "Tokens",
    "check_length",
    "check_sources",
    "check_vocabulary",
    "overlap",
    "read_documents",
    "source_game",
    "source_problem",
    "tokenise",
    "value_sources",
]
