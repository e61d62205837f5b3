"""What calling a function means: harmless, followed into its body, of a known class, or opaque.

The classes of PostgreSQL's own functions stand in ``functions.json``, gathered by going through ``pg_proc``.
"""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from proxy.sql.catalog import Catalog, Function

# Classes whose effect no facts can express. The others are known for what they do, but are not harmless either.
OPAQUE_CLASSES = frozenset({"executes_sql", "outside", "large_object", "server", "reveals"})
# Classes through which masked values could leave although the statement names no masked column.
REVEALING_CLASSES = frozenset({"executes_sql", "reveals", "large_object", "outside"})
# The action that a call is, beside those of the statement it stands in.
CLASS_ACTIONS = {
    "settings": "set", "lock": "lock", "notify": "listen", "delay": "function", "changes": "function", "executes_sql": "function",
    "outside": "function", "large_object": "function", "server": "function", "reveals": "function",
}


# What CREATE TYPE … AS RANGE makes.
_CONSTRUCTORS = frozenset({
    "range_constructor2", "range_constructor3", "multirange_constructor0", "multirange_constructor1", "multirange_constructor2",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """``kind``: ``harmless``, ``follow`` (its body may be readable), ``opaque``, ``unknown`` or a class of ``functions.json``."""

    name: str  # schema.name where known
    kind: str
    function: Function | None = None


@dataclass(frozen=True, slots=True)
class _Data:
    exact: dict[str, str]  # "name" or "name/2" -> class
    prefixes: tuple[tuple[str, str], ...]  # longest first
    revealing: frozenset[str]  # bare names of ``exact`` that are in one of REVEALING_CLASSES with some number of arguments
    harmless_volatile: frozenset[str]
    harmless_extensions: frozenset[str]


@functools.cache
def _data() -> _Data:
    raw = msgspec.json.decode(importlib.resources.files("proxy.sql").joinpath("functions.json").read_bytes())
    entries: dict[str, str] = raw["functions"]
    prefixes = sorted(((name[:-1], kind) for name, kind in entries.items() if name.endswith("*")), key=lambda item: -len(item[0]))
    return _Data(
        {name: kind for name, kind in entries.items() if not name.endswith("*")}, tuple(prefixes),
        frozenset(name.partition("/")[0] for name, kind in entries.items() if kind in REVEALING_CLASSES),
        frozenset(raw["harmless_volatile"]), frozenset(raw["harmless_extensions"]["names"]),
    )


def listed(name: str, arguments: int) -> str:
    """The class of a function's bare name in the data file, or ""."""
    data = _data()
    found = data.exact.get(name) or data.exact.get(f"{name}/{arguments}")
    return found or next((kind for prefix, kind in data.prefixes if name.startswith(prefix)), "")


def reveals(name: str) -> bool:
    """Whether some function of this bare name gets at values without naming a relation, whatever its arguments."""
    return name in _data().revealing or listed(name, 0) in REVEALING_CLASSES


def judge(
    parts: Sequence[str], arguments: int, catalog: Catalog | None, search_path: tuple[str, ...], trusted: frozenset[str],
) -> tuple[Verdict, ...]:
    """Every meaning that a call by this name can have. Overloads are not told apart: each candidate is judged.

    A catalog that is not loaded makes every function opaque that ``pg_catalog`` is not named for.
    """
    schema, name = (parts[-2] if len(parts) > 1 else ""), parts[-1]
    found: list[Verdict] = []
    if schema in ("", "pg_catalog"):
        found += _builtin(name, arguments, catalog, qualified=bool(schema))
    if schema == "information_schema":
        return (Verdict(f"{schema}.{name}", "harmless"),)
    if catalog is not None and schema != "pg_catalog":
        candidates = catalog.functions_named(parts, search_path)
        for function in candidates:
            if function.takes(arguments):
                found += _own(function, arguments, trusted, catalog)
    # A name that nothing has is a mistake, or new.
    return tuple(found) or (Verdict(".".join(parts[-2:]), listed(name, arguments) or ("opaque" if catalog is None else "unknown")),)


def _builtin(name: str, arguments: int, catalog: Catalog | None, *, qualified: bool) -> list[Verdict]:
    if catalog is None:
        kind = listed(name, arguments) or ("harmless" if qualified else "")
        return [Verdict(f"pg_catalog.{name}", kind)] if kind else []
    volatility = catalog.builtins.get(name)
    if volatility is None:
        return []
    kind = listed(name, arguments)
    if not kind:
        kind = "opaque" if volatility == "v" and name not in _data().harmless_volatile else "harmless"
    return [Verdict(f"pg_catalog.{name}", kind)]


def _own(function: Function, arguments: int, trusted: frozenset[str], catalog: Catalog) -> list[Verdict]:
    """A function outside the system schemas: trusted by the connection, known by its extension, readable, or opaque."""
    name = function.full_name
    if name in trusted:
        return [Verdict(name, "harmless", function)]
    if function.extension:
        kind = listed(function.name, arguments)
        if kind:
            return [Verdict(name, kind, function)]
        # Code of an extension that PostgreSQL may constant-fold computes on its arguments alone.
        computes = function.language in ("c", "internal") and function.volatility == "i"
        return [Verdict(name, "harmless" if computes or function.extension in _data().harmless_extensions else "opaque", function)]
    if function.language == "internal" and function.source in _CONSTRUCTORS:
        return [Verdict(name, "harmless", function)]
    if function.language in ("sql", "plpgsql") and function.kind in ("f", "p"):
        return [Verdict(name, "follow", function)]
    return _aggregate(function, trusted, catalog) or [Verdict(name, "opaque", function)]


def _aggregate(function: Function, trusted: frozenset[str], catalog: Catalog) -> list[Verdict]:
    """An aggregate does what the functions do that it is made of."""
    found: list[Verdict] = [Verdict(function.full_name, "harmless", function)] if function.support else []
    for part in function.support:
        own = catalog.functions.get(int(part)) if part.isdigit() else None
        if own is not None:
            found += _own(own, own.arguments, trusted, catalog)
        else:
            # How many arguments it gets does not matter: those of one of these names are of one class.
            found += _builtin(part, 2, catalog, qualified=True) or [Verdict(part, "opaque", None)]
    return found
