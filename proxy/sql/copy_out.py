"""How COPY … TO STDOUT writes its rows, by the statement's options, and which of its columns the catalog knows."""

from __future__ import annotations

import re
from collections.abc import Sequence

from proxy.sql.catalog import Catalog
from proxy.sql.facts import CopyOut
from proxy.sql.parser import Node
from proxy.sql.scope import Out
from proxy.wire.copy_data import CopyFormat

# Those of COPY FROM are here too: that they stand there is the server's to refuse.
_WITHOUT_EFFECT = frozenset({
    "freeze", "force_quote", "force_not_null", "force_null", "on_error", "log_verbosity", "reject_limit", "default",
})  # fmt: skip
_WHOLE = re.compile(r"(?:[^\\]|\\.)*", re.DOTALL)


def copy_out(kind: str, node: Node, outs: Sequence[Out], catalog: Catalog | None) -> CopyOut | None:
    """What a COPY sends to the client; ``None`` for any other statement. ``outs``: its columns, as far as they are known."""
    if kind != "CopyStmt" or node.get("is_from") or node.get("is_program") or "filename" in node:
        return None
    given = {wrapped["DefElem"]["defname"]: wrapped["DefElem"].get("arg", {}) for wrapped in node.get("options", ())}
    text = {name: _text(value) for name, value in given.items()}
    problem = _problem(text)
    form = CopyFormat()
    if not problem:
        name = text.get("format", "text")
        quote = text.get("quote", '"')
        form = CopyFormat(
            name, text.get("delimiter", "," if name == "csv" else "\t").encode(), text.get("null", "" if name == "csv" else "\\N").encode(),
            quote.encode(), text.get("escape", quote).encode(),
        )  # fmt: skip
    header = "header" in text and text["header"].lower() not in ("false", "off", "0")
    return CopyOut(form, header and form.name != "binary", text.get("encoding", ""), _types(outs, catalog), problem)


def _text(value: Node) -> str:
    """An option's value as it is written; nothing for one that has none."""
    ((kind, fields),) = value.items() if value else (("", {}),)
    if kind == "Integer":
        return str(fields.get("ival", 0))
    if kind == "Boolean":
        return str(fields.get("boolval", False)).lower()
    return str(fields.get("sval", "")) if kind == "String" else ""


def _problem(text: dict[str, str]) -> str:
    for name in text:
        if name not in _WITHOUT_EFFECT and name not in ("format", "delimiter", "null", "header", "quote", "escape", "encoding"):
            return f'the COPY option "{name}" is not known'
    name = text.get("format", "text")
    if name not in ("text", "csv", "binary"):
        return f'the COPY format "{name}" is not known'
    for option in ("delimiter", "quote", "escape"):
        if option in text and not (len(text[option]) == 1 and text[option].isascii()):
            return f"the {option} of COPY is not one ASCII character"
    null = text.get("null", "")
    if not null.isascii() or (name == "text" and not _WHOLE.fullmatch(null)):
        return "the null string of COPY cannot be told from values"
    return ""


def _types(outs: Sequence[Out], catalog: Catalog | None) -> tuple[int, ...]:
    return tuple(_type(out, catalog) for out in outs)


def _type(out: Out, catalog: Catalog | None) -> int:
    relation = catalog.relation(out.plain[0]) if catalog is not None and out.plain is not None else None
    columns = relation.columns if relation is not None else ()
    return next((column.base_type_oid for column in columns if out.plain is not None and column.attnum == out.plain[1]), 0)
