"""The modules of ``unshap_transformers`` whose advice needs no model, by the file of tests that follows it."""

from __future__ import annotations

from advice import ROOT

ADAPTER = "adapters/unshap_transformers"
DATA = [f"{ADAPTER}/{name}.py" for name in ("checks", "documents", "entries", "files", "tokens")]
LABELS = [f"{ADAPTER}/{name}.py" for name in ("encoding", "labelled")]
#: All others.
MODELS = sorted({f"{ADAPTER}/{path.name}" for path in (ROOT / ADAPTER).glob("*.py")} - {*DATA, *LABELS})
