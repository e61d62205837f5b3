"""Masking as an SQL expression, for the sub-select that stands in for a relation with masked columns.

Every function, operator, type and collation is spelt with its schema, since the agent owns the search path. The type,
its modifier and the collation stay those of the column: the column itself is one branch of each CASE (taken for NULL
only), and an inner ``COLLATE`` is dropped again through ``textin(textout(…))``.
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.policy.mask_cells import CARD, CARD_TAIL, EMAIL, FLOAT_LIMITS, MAX_NUMERIC_DIGITS, fixed_text, largest_multiple
from proxy.policy.mask_types import ARRAY_TYPES, BASE_TYPES, NO_TYPMOD, Column, Mask, fitted
from proxy.wire import values


def sql_expression(mask: Mask, column: Column, reference: str) -> str:
    """An expression that yields the masked value of ``reference`` (a column reference, quoted as need be)."""
    bound = fitted(mask, column)
    build = _METHODS.get(bound.method)
    masked = None if build is None else build(bound, column, reference)
    if masked is None:
        null = f"CAST(NULL AS {_type(column)})"
        return _unless_null(reference, null) if column.type_oid in values.TEXT_TYPES else null
    return _unless_null(reference, f"CAST({masked} AS {_type(column)})")


def _redact(mask: Mask, column: Column, reference: str) -> str | None:
    if column.type_oid in values.TEXT_TYPES:
        return "'***'"
    neutral = column.type_oid in ARRAY_TYPES or column.type_oid in (values.JSON, values.JSONB)
    return "'{}'" if neutral else None


def _nullify(mask: Mask, column: Column, reference: str) -> str | None:
    return None


def _email(mask: Mask, column: Column, reference: str) -> str | None:
    if column.type_oid not in values.TEXT_TYPES:
        return None
    text = _c_text(reference)
    label = f"pg_catalog.substring({text}, {_literal('[.]([A-Za-z]{2,63})$')})"
    is_email = f"{text} OPERATOR(pg_catalog.~) {_literal(f'^{EMAIL}$')}"
    return _plain(f"CASE WHEN {is_email} THEN {_literal('***@***.')} OPERATOR(pg_catalog.||) {label} ELSE {_literal('***')} END")


def _card(mask: Mask, column: Column, reference: str) -> str | None:
    if column.type_oid not in values.TEXT_TYPES:
        return None
    text = _c_text(reference)
    # The group around the whole makes substring() return all of it and not the inner group.
    tail = f"pg_catalog.substring({text}, {_literal(f'({CARD_TAIL})$')})"
    head = f'pg_catalog."left"({text}, OPERATOR(pg_catalog.-) pg_catalog.length({tail}))'
    stars = f"pg_catalog.regexp_replace({head}, {_literal('[0-9]')}, {_literal('*')}, {_literal('g')})"
    is_card = f"{text} OPERATOR(pg_catalog.~) {_literal(f'^{CARD}$')}"
    return _plain(f"CASE WHEN {is_card} THEN {stars} OPERATOR(pg_catalog.||) {tail} ELSE {_literal('***')} END")


def _partial(mask: Mask, column: Column, reference: str) -> str | None:
    if column.type_oid not in values.TEXT_TYPES:
        return None
    first, last = (int(argument) for argument in mask.arguments)
    text = f"CAST({reference} AS pg_catalog.text)"
    length = f"pg_catalog.length({text})"
    star = _literal("*")
    middle = f"pg_catalog.repeat({star}, {length} OPERATOR(pg_catalog.-) {first + last})"
    kept = f'pg_catalog."left"({text}, {first}) OPERATOR(pg_catalog.||) {middle}'
    kept = f'({kept}) OPERATOR(pg_catalog.||) pg_catalog."right"({text}, {last})'
    return f"CASE WHEN {length} OPERATOR(pg_catalog.<=) {first + last} THEN pg_catalog.repeat({star}, {length}) ELSE {kept} END"


def _year(mask: Mask, column: Column, reference: str) -> str | None:
    if column.type_oid == values.DATE:
        # date_trunc() would go through a timestamp, which does not reach as far as a date.
        day = f"CAST(EXTRACT(doy FROM {reference}) AS pg_catalog.int4)"
        start = f"{reference} OPERATOR(pg_catalog.-) ({day} OPERATOR(pg_catalog.-) 1)"
        return _guarded(start, f"{_finite(reference)} AND {reference} OPERATOR(pg_catalog.>=) CAST('4713-01-01 BC' AS pg_catalog.date)")
    year = _literal("year")
    if column.type_oid == values.TIMESTAMP:
        first = "CAST('4713-01-01 00:00:00 BC' AS pg_catalog.timestamp)"
        start = f"pg_catalog.date_trunc({year}, {reference})"
    elif column.type_oid == values.TIMESTAMPTZ:
        first = "CAST('4713-01-01 00:00:00+00 BC' AS pg_catalog.timestamptz)"
        start = f"pg_catalog.date_trunc({year}, {reference}, {_literal('UTC')})"
    else:
        return None
    return _guarded(start, f"{_finite(reference)} AND {reference} OPERATOR(pg_catalog.>=) {first}")


def _round(mask: Mask, column: Column, reference: str) -> str | None:
    to = int(mask.arguments[0])
    if column.type_oid in FLOAT_LIMITS:
        return _round_float(column, reference, to)
    size = values.INTEGER_BYTES.get(column.type_oid)
    if size is None and column.type_oid != values.NUMERIC:
        return None
    number = f"CAST({reference} AS pg_catalog.numeric)"
    multiple = _nearest(number, to)
    if size is not None:
        most = (2 ** (8 * size - 1) - 1) // to * to
        return _within(multiple, str(most))
    if column.typmod == NO_TYPMOD:
        multiple = f"pg_catalog.round({multiple}, pg_catalog.scale({number}))"
    else:
        multiple = _within(multiple, f"{largest_multiple(to, column.typmod):f}")
    # Infinity is a numeric since PostgreSQL 14; as text it can be asked for in every version.
    special = "CAST('{NaN,Infinity,-Infinity}' AS pg_catalog.text[])"
    text = f"CAST({reference} AS pg_catalog.text)"
    limit = f"CAST('1e{MAX_NUMERIC_DIGITS + 1}' AS pg_catalog.numeric)"
    small = f"pg_catalog.abs({number}) OPERATOR(pg_catalog.<) {limit}"
    return _guarded(multiple, f"NOT ({text} OPERATOR(pg_catalog.=) ANY ({special})) AND {small}")


def _nearest(number: str, to: int) -> str:
    """``y - mod(y, to)`` with ``y = x + sign(x) * to / 2``: exact, halves away from zero."""
    half = f"CAST('{to // 2}{'.5' if to % 2 else ''}' AS pg_catalog.numeric)"
    moved = f"({number} OPERATOR(pg_catalog.+) (pg_catalog.sign({number}) OPERATOR(pg_catalog.*) {half}))"
    return f"({moved} OPERATOR(pg_catalog.-) pg_catalog.mod({moved}, CAST('{to}' AS pg_catalog.numeric)))"


def _within(number: str, most: str) -> str:
    low, high = (f"CAST('{sign}{most}' AS pg_catalog.numeric)" for sign in ("-", ""))
    return f"LEAST(GREATEST({number}, {low}), {high})"


def _round_float(column: Column, reference: str, to: int) -> str:
    number = f"CAST({reference} AS pg_catalog.float8)"
    unit = f"CAST('{to}' AS pg_catalog.float8)"
    limit = f"CAST('{FLOAT_LIMITS[column.type_oid]!r}' AS pg_catalog.float8)"
    rounded = f"pg_catalog.round({number} OPERATOR(pg_catalog./) {unit}) OPERATOR(pg_catalog.*) {unit}"
    # NaN is greater than every number for PostgreSQL, so the limit excludes it too.
    return _guarded(rounded, f"pg_catalog.abs({number}) OPERATOR(pg_catalog.<=) {limit}")


def _fixed(mask: Mask, column: Column, reference: str) -> str | None:
    text = None if column.type_oid in ARRAY_TYPES else fixed_text(mask, column.type_oid)
    return None if text is None else _quoted(text)


def _unless_null(reference: str, masked: str) -> str:
    return f"CASE WHEN {reference} IS NULL THEN {reference} ELSE {masked} END"


def _guarded(value: str, condition: str) -> str:
    return f"CASE WHEN {condition} THEN {value} END"


def _finite(reference: str) -> str:
    return f"pg_catalog.isfinite({reference})"


def _c_text(reference: str) -> str:
    """As text under the collation "C": regular expressions need one that is deterministic."""
    return f'(CAST({reference} AS pg_catalog.text) COLLATE pg_catalog."C")'


def _plain(text: str) -> str:
    return f"pg_catalog.textin(pg_catalog.textout({text}))"


def _type(column: Column) -> str:
    base = BASE_TYPES.get(column.base_type_oid)
    return f"pg_catalog.{base}" if base is not None and column.base_type_oid != column.type_oid else column.type_name


def _literal(text: str) -> str:
    return f"CAST({_quoted(text)} AS pg_catalog.text)"


def _quoted(text: str) -> str:
    """A string constant that means the same whatever ``standard_conforming_strings`` says."""
    doubled = text.replace("'", "''")
    return "E'" + doubled.replace("\\", "\\\\") + "'" if "\\" in text else f"'{doubled}'"


_METHODS: dict[str, Callable[[Mask, Column, str], str | None]] = {
    "redact": _redact,
    "hash": _redact,  # its key must not stand in SQL text
    "nullify": _nullify,
    "email": _email,
    "card": _card,
    "partial": _partial,
    "year": _year,
    "round": _round,
    "fixed": _fixed,
}
