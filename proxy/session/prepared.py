"""Prepared statements and portals of the extended protocol, with what was decided about them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

from proxy.sql.facts import Analysis
from proxy.wire.backend import ResultColumn, RowDescription
from proxy.wire.frontend import Bind, format_at
from proxy.wire.values import to_text

AnalysisKey = tuple[object, ...]

SHOWN = 64 << 10  # bytes of one parameter that are recorded and shown; of a longer one also length and digest


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
    description: bytes | None = None
    asked: bool = False
    digests: dict[int, str] = field(default_factory=dict)  # of long parameters, as far as they were needed
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
        """The parameters as a person reads them; a binary value of a type that is not known is shown in hexadecimal."""
        return [self._text(number, value) for number, value in enumerate(self.bind.values)]

    def _text(self, number: int, value: bytes | None) -> str | None:
        if value is None:
            return None
        code, shown = self.bind.format_of(number), _beginning(value)
        text = to_text(self.prepared.type_of(number), code, shown)
        if text is None and code == 0:
            text = shown.decode("utf-8", "backslashreplace")
        if text is None:
            text = "\\x" + shown.hex()
        return text if shown is value else f"{text}…(+{len(value) - len(shown)} bytes, sha256 {self.digest(number)})"

    def digest(self, number: int) -> str:
        """SHA-256 of a parameter that is too long to be shown, in hexadecimal."""
        if number not in self.digests:
            self.digests[number] = hashlib.sha256(self.bind.values[number] or b"").hexdigest()
        return self.digests[number]


def _columns(description: bytes) -> tuple[ResultColumn, ...]:
    # Read when somebody needs it: most results have nothing to mask.
    return RowDescription.decode(description).columns if description else ()


def _beginning(value: bytes) -> bytes:
    """What is shown of a value: itself, or its beginning, not cut inside a UTF-8 character."""
    if len(value) <= SHOWN:
        return value
    end = next((end for end in range(SHOWN, SHOWN - 4, -1) if value[end] & 0xC0 != 0x80), SHOWN)
    return value[:end]
