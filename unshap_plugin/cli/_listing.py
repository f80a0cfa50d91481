"""The registered unlearners as text and as data, with the plugins that failed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from unshap_plugin.plugins.catalogue import Registered
from unshap_plugin.plugins.manager import Plugins
from unshap_plugin.plugins.spec import UnlearnerSpec
from unshap_plugin.problem.access import Access, ModelKind
from unshap_plugin.support.printing import lines_of

__all__ = ["as_json", "one_as_json", "one_as_text", "table"]


def table(plugins: Plugins) -> Iterator[str]:
    """Yield the lines of a table of all unlearners, the names that are not unique, and the plugins that failed."""
    rows = [("name", "access", "exact", "batching", "provider", "summary")]
    for name, one in plugins.unlearners.usable.items():
        spec = one.offer
        batching = "batched" if spec.batched else "one by one"
        access = _access(spec)
        rows.append((name, access, "yes" if spec.exact else "no", batching, str(one.provider), spec.summary))
    yield from lines_of(rows, left=6)
    for name, each in plugins.unlearners.conflicts.items():
        yield ""
        yield (
            f"{name!r} is offered by {' and by '.join(str(one.provider) for one in each)}: say which one, as "
            f"{' or '.join(repr(one.qualified) for one in each)}"
        )
    if plugins.failures:
        yield ""
        yield "skipped:"
    for failure in plugins.failures:
        point = f" (entry point {failure.provider.entry_point!r})" if failure.provider.entry_point else ""
        yield f"  {str(failure.provider).strip()}{point}: {failure.reason}"


def one_as_text(name: str, one: Registered[UnlearnerSpec]) -> Iterator[str]:
    """Yield the lines about one unlearner."""
    spec = one.offer
    yield f"name        {name}"
    yield f"summary     {spec.summary}"
    yield f"source      {spec.source}"
    yield f"provider    {one.provider} (entry point {one.provider.entry_point!r})"
    yield f"access      {_access(spec)}"
    yield f"models      {spec.takes.names()}"
    yield f"exact       {'yes' if spec.exact else 'no'}"
    yield f"batching    {'batched' if spec.batched else 'one by one'}"
    order = "the order in which coalitions come changes the result" if spec.order_dependent else "irrelevant"
    yield f"order       {order}"
    yield f"settings    {', '.join(f'{key}={value!r}' for key, value in spec.settings.items()) or 'none'}"


def as_json(plugins: Plugins) -> str:
    """Return everything as JSON: ``unlearners``, ``conflicts`` and ``failed``."""
    return _dumped(
        {
            "unlearners": [_data(name, one) for name, one in plugins.unlearners.usable.items()],
            "conflicts": [
                {
                    "name": name,
                    "providers": [_provider(one) for one in each],
                    "choose": [one.qualified for one in each],
                }
                for name, each in plugins.unlearners.conflicts.items()
            ],
            "failed": [{**vars(failure.provider), "reason": failure.reason} for failure in plugins.failures],
        }
    )


def one_as_json(name: str, one: Registered[UnlearnerSpec]) -> str:
    """Return one unlearner as JSON."""
    return _dumped(_data(name, one))


def _data(name: str, one: Registered[UnlearnerSpec]) -> dict[str, Any]:
    spec = one.offer
    return {
        "name": name,
        "summary": spec.summary,
        "source": spec.source,
        "access": [str(flag.name).lower() for flag in Access if flag in spec.access],
        "stored": spec.stored,
        "models": [str(kind.name).lower() for kind in ModelKind if kind in spec.takes],
        "exact": spec.exact,
        "order_dependent": spec.order_dependent,
        "batched": spec.batched,
        "settings": spec.settings,
        "provider": _provider(one),
    }


def _access(spec: UnlearnerSpec) -> str:
    seen = spec.access.names().lower()
    return seen if spec.stored is None else f"{seen} or stored {spec.stored}"


def _provider(one: Registered[UnlearnerSpec]) -> dict[str, str]:
    return dict(vars(one.provider))


def _dumped(data: Mapping[str, Any]) -> str:
    return json.dumps(_plain(data), indent=1, allow_nan=False)


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold: a plugin's default may be anything."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    plain = value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))
    return value if plain else repr(value)
