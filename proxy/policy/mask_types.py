"""The value that names a mask, and what masks must know about PostgreSQL's types."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from proxy.wire import values

# Built-in arrays by their element type; the object ids are the same in all supported versions.
ARRAY_TYPES = frozenset({
    1000, 1001, 1002, 1003, 1016, 1005, 1007, 1008, 1009, 1028, 199, 143, 651, 1021, 1022, 791, 1040, 1041, 1014, 1015, 1182, 1183,
    1115, 1185, 1187, 1270, 1561, 1563, 1231, 2951, 3807,
})  # fmt: skip

# What a domain's masked column is cast to: NULL of a domain may be forbidden, NULL of its base type never is.
BASE_TYPES = {
    values.BOOL: "bool", values.BYTEA: "bytea", values.INT2: "int2", values.INT4: "int4", values.INT8: "int8",
    values.TEXT: "text", values.VARCHAR: "varchar", values.BPCHAR: "bpchar", values.NAME: "name", values.OID: "oid",
    values.FLOAT4: "float4", values.FLOAT8: "float8", values.NUMERIC: "numeric", values.UUID: "uuid", values.JSON: "json",
    values.JSONB: "jsonb", values.DATE: "date", values.TIME: "time", values.TIMESTAMP: "timestamp",
    values.TIMESTAMPTZ: "timestamptz", values.INET: "inet", values.CIDR: "cidr", 142: "xml", 1186: "interval",
}  # fmt: skip

NAME_BYTES = 63  # NAMEDATALEN - 1
NO_TYPMOD = -1


@dataclass(frozen=True, slots=True)
class Mask:
    """One masking rule as it applies to one column."""

    method: str  # redact | nullify | email | card | hash | year | partial | round | fixed
    arguments: tuple[int | str, ...] = ()  # partial: (first, last); round: (to,); fixed: (text,)
    rule: str = ""
    lookups: bool = False  # `column = constant` may work on the real value
    typmod: int | None = None  # of the column it is bound to; None: not known, so never longer than the value itself


class Column(Protocol):
    """What is asked of :class:`proxy.sql.catalog.Column`."""

    @property
    def attnum(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def type_oid(self) -> int: ...
    @property
    def type_name(self) -> str: ...
    @property
    def typmod(self) -> int: ...
    @property
    def base_type_oid(self) -> int: ...


def fitted(mask: Mask, column: Column) -> Mask:
    """The mask bound to a column: its type modifier, and ``nullify`` where the type is none of PostgreSQL's own.

    A result shows a domain's column as one of the base type, so this cannot wait until the value is seen.
    """
    known = column.type_oid in BASE_TYPES or column.type_oid in ARRAY_TYPES
    bound = replace(mask, typmod=column.typmod)
    return bound if known else replace(bound, method="nullify", arguments=())


def fit_text(text: str, type_oid: int, typmod: int | None, original: str) -> str:
    """Cut or fill masked text so that the type holds it: ``varchar(n)``, ``char(n)``, ``name``."""
    if type_oid == values.NAME:
        return text.encode()[:NAME_BYTES].decode(errors="ignore")
    if type_oid not in (values.VARCHAR, values.BPCHAR) or typmod == NO_TYPMOD:
        return text
    length = len(original) if typmod is None else typmod - 4
    return text[:length].ljust(length) if type_oid == values.BPCHAR else text[:length]


def numeric_shape(typmod: int) -> tuple[int, int]:
    """Precision and scale of ``numeric(p, s)``; the scale has 11 bits with sign (PostgreSQL 15 and later)."""
    packed = typmod - 4
    scale = packed & 0x7FF
    return packed >> 16 & 0xFFFF, (scale ^ 0x400) - 0x400
