"""Prepared statements and portals of the extended protocol, with what was decided about them."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.sql.facts import Analysis
from proxy.wire.backend import ResultColumn
from proxy.wire.frontend import Bind, format_at
from proxy.wire.values import to_text

AnalysisKey = tuple[object, ...]


@dataclass(slots=True, eq=False)
class Prepared:
    """``forwarded`` is the text that the server has; ``key`` names what the analysis depended on."""

    name: bytes
    sql: bytes
    text: str
    declared: tuple[int, ...]  # types of the parameters as given by Parse
    analysis: Analysis
    key: AnalysisKey
    forwarded: str
    inferred: tuple[int, ...] = ()  # … as told by ParameterDescription
    columns: tuple[ResultColumn, ...] | None = None  # from RowDescription or NoData of a Describe

    def type_of(self, number: int) -> int:
        """The best that is known of a parameter's type; 0: nothing."""
        types = self.inferred or self.declared
        return types[number] if number < len(types) else 0


@dataclass(slots=True, eq=False)
class Portal:
    prepared: Prepared
    bind: Bind
    batch: int
    columns: tuple[ResultColumn, ...] | None = None
    approval: str = ""  # of the request that allowed it: a portal runs once, so fetching on needs no other

    def result_columns(self) -> tuple[ResultColumn, ...] | None:
        """What the rows will look like, with the formats that Bind asked for; ``None`` while nobody has described it."""
        if self.columns is not None or self.prepared.columns is None:
            return self.columns
        formats = self.bind.result_formats
        self.columns = tuple(
            ResultColumn(c.name, c.table, c.attribute, c.type_oid, c.type_size, c.type_modifier, format_at(formats, number))
            for number, c in enumerate(self.prepared.columns)
        )
        return self.columns

    def parameter_texts(self) -> list[str | None]:
        """The parameters as a person reads them; a binary value of a type that is not known is shown in hexadecimal."""
        return [self._text(number, value) for number, value in enumerate(self.bind.values)]

    def _text(self, number: int, value: bytes | None) -> str | None:
        if value is None:
            return None
        code = self.bind.format_of(number)
        text = to_text(self.prepared.type_of(number), code, value)
        if text is None and code == 0:
            text = value.decode("utf-8", "backslashreplace")
        return text if text is not None else "\\x" + value.hex()
