"""Prepared statements and portals of the extended protocol, with what was decided about them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from proxy.sql.facts import Analysis
from proxy.wire.backend import ResultColumn, RowDescription
from proxy.wire.frontend import Bind, Cut, format_at
from proxy.wire.values import to_text

if TYPE_CHECKING:
    from proxy.session.limit import Limit

AnalysisKey = tuple[object, ...]


@dataclass(slots=True, eq=False)
class Prepared:
    """``forwarded`` is the text that the server has; ``key`` names what the analysis depended on.

    Where that changes, another one takes its place; portals go on with the one that they were made from.
    """

    name: bytes
    sql: bytes
    text: str
    declared: tuple[int, ...]  # types of the parameters as given by Parse
    analysis: Analysis
    key: AnalysisKey
    forwarded: str
    inferred: tuple[int, ...] = ()  # … as told by ParameterDescription
    description: bytes | None = None  # body of the RowDescription that a Describe got; empty for NoData
    asked: bool = False  # such a Describe is on its way or answered

    def type_of(self, number: int) -> int:
        """The best that is known of a parameter's type; 0: nothing."""
        types = self.inferred or self.declared
        return types[number] if number < len(types) else 0


@dataclass(slots=True, eq=False)
class Portal:
    prepared: Prepared
    bind: Bind
    batch: int
    mask_digest: str = ""  # of the masks in force when it was made
    problem: str = ""  # why it must not run, if it must not
    description: bytes | None = None
    asked: bool = False
    estimated_rows: int | None = None  # by the planner, once it was asked
    limit: Limit | None = None  # of its rows, however they are fetched
    lost: bool = False  # the gateway has ended its batch at the server: it is bound again before it runs
    approval: str = ""  # of the request that allowed it: a portal runs once, so fetching on needs no other

    @property
    def is_described(self) -> bool:
        return self.description is not None or self.prepared.description is not None

    @property
    def will_be_described(self) -> bool:
        """Whether it is known before the rows of an Execute that is sent now."""
        return self.asked or self.prepared.asked

    def result_columns(self) -> tuple[ResultColumn, ...]:
        """What the rows look like, with the formats that Bind asked for; nothing where nobody has described them."""
        if self.description is not None:
            return _columns(self.description)
        formats = self.bind.result_formats
        columns = enumerate(_columns(self.prepared.description or b""))
        return tuple(replace(column, format=format_at(formats, number)) for number, column in columns)

    def parameter_texts(self) -> list[str | None]:
        """The parameters as a person reads them; a binary value of a type that is not known is shown in hexadecimal.

        Of a long one the beginning is shown, and how it can be told from others that begin so.
        """
        return [self._text(number, value) for number, value in enumerate(self.bind.values)]

    def _text(self, number: int, value: bytes | Cut | None) -> str | None:
        if value is None:
            return None
        shown = _whole_characters(value.beginning) if isinstance(value, Cut) else value
        code = self.bind.format_of(number)
        text = to_text(self.prepared.type_of(number), code, shown)
        if text is None and code == 0:
            text = shown.decode("utf-8", "backslashreplace")
        if text is None:
            text = "\\x" + shown.hex()
        return f"{text}…(+{value.length - len(shown)} bytes, sha256 {value.sha256})" if isinstance(value, Cut) else text


def _columns(description: bytes) -> tuple[ResultColumn, ...]:
    # Read when somebody needs it: most results have nothing to mask.
    return RowDescription.decode(description).columns if description else ()


def _whole_characters(beginning: bytes) -> bytes:
    """Without the part of a UTF-8 character at its end, whose rest was cut off."""
    for start in range(len(beginning) - 1, max(len(beginning) - 4, -1), -1):
        if beginning[start] & 0xC0 != 0x80:  # here the last character begins; the first byte tells its length
            needed = 1 + (beginning[start] >= 0xC0) + (beginning[start] >= 0xE0) + (beginning[start] >= 0xF0)
            return beginning if len(beginning) - start >= needed else beginning[:start]
    return beginning
