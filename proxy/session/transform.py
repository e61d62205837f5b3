"""What replies lose on their way to the client: masked cells, and free text that could hold a masked value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from proxy.policy import detectors
from proxy.policy.masks import Mask, mask_cell
from proxy.sql.catalog import FIRST_USER_OID
from proxy.sql.facts import CopyOut
from proxy.wire import values
from proxy.wire.backend import ErrorFields, NotificationResponse, ResultColumn
from proxy.wire.conditions import condition
from proxy.wire.copy_data import CopyFormat, rewrite_copy
from proxy.wire.rows import rewrite_rows

# Severity, SQLSTATE, and the names of schema, table, column, data type and constraint (manual, 55.8).
_KEPT_FIELDS = ("S", "V", "C", "s", "t", "c", "d", "n")
_JSON = frozenset({values.JSON, values.JSONB, 199, 3807})  # and arrays of them
_DOCUMENTS = _JSON | {142, 143}  # xml
_TEXTS = values.TEXT_TYPES | {values.UNKNOWN, 1009, 1015, 1014, 1003, 2249, 2287}  # arrays of texts; record and arrays of it


@dataclass(frozen=True, slots=True)
class Masker:
    """Masks the cells of one result. Columns are found by their origin, so aliases and renames do not matter."""

    columns: tuple[int, ...]
    masks: tuple[tuple[Mask, int, int], ...]  # mask, type oid, format
    key: bytes

    def rows(self, buffer: bytes, start: int, stop: int) -> tuple[bytes, int]:
        """The DataRow messages ``buffer[start:stop]`` with masked cells, and how many were masked."""
        return rewrite_rows(buffer, start, stop, self.columns, self._cell)

    def _cell(self, k: int, value: bytes) -> bytes | None:
        mask, type_oid, code = self.masks[k]
        return mask_cell(mask, type_oid, code, value, self.key)


def masker(columns: tuple[ResultColumn, ...], masks: Mapping[tuple[int, int], Mask], key: bytes) -> Masker | None:
    """The masker of a result with these columns; ``None`` if none of them is masked."""
    found = [
        (number, (mask, column.type_oid, column.format))
        for number, column in enumerate(columns)
        if column.table and (mask := masks.get((column.table, column.attribute))) is not None
    ]
    if not found:
        return None
    return Masker(tuple(number for number, _ in found), tuple(cell for _, cell in found), key)


@dataclass(frozen=True, slots=True)
class Watcher:
    """Looks for personal data and secrets in cells that no mask can speak about."""

    columns: tuple[int, ...]
    json: tuple[bool, ...]  # for each of them
    blots: bool  # or only tells

    def rows(self, buffer: bytes, start: int, stop: int) -> tuple[bytes, Counter[str]]:
        """The DataRow messages ``buffer[start:stop]`` as the client gets them, and how often what was found."""
        data = buffer[start:stop]
        found: Counter[str] = Counter()
        if not detectors.suspects(data):
            return data, found

        def cell(k: int, value: bytes) -> bytes:
            spans = detectors.find(value)
            found.update(kind for _, _, kind in spans)
            return detectors.blot(value, spans, json=self.json[k]) if self.blots and spans else value

        return rewrite_rows(data, 0, len(data), self.columns, cell)[0], found


@dataclass(frozen=True, slots=True)
class CopyWatcher:
    """The same for what a COPY sends."""

    form: CopyFormat
    count: int  # of all columns
    columns: tuple[int, ...]
    json: tuple[bool, ...]
    blots: bool

    def rows(self, buffer: bytes, start: int, stop: int) -> tuple[bytes, Counter[str]]:
        """The CopyData messages ``buffer[start:stop]`` as the client gets them, and how often what was found."""
        data = buffer[start:stop]
        found: Counter[str] = Counter()
        # Where a mark could stand within what is looked for, only single values tell.
        if not detectors.suspects(data) and detectors.NEUTRAL.issuperset(self.form.marks):
            return data, found

        def cell(k: int, value: bytes) -> bytes:
            spans = detectors.find(value)
            found.update(kind for _, _, kind in spans)
            # Of what type an expression is, a COPY does not tell: what looks like a document stays one.
            json = self.json[k] or value.lstrip()[:1] in (b"{", b"[")
            return detectors.blot(value, spans, json=json) if self.blots and spans else value

        return rewrite_copy(data, 0, len(data), self.form, self.count, self.columns, cell), found


def copy_watcher(copy: CopyOut, count: int, setting: str) -> CopyWatcher | None:
    """As :func:`watcher`; columns of which the analysis does not know where they come from are looked at, whatever their type."""
    types = copy.types if len(copy.types) == count else (0,) * count
    found = [(number, oid in _JSON) for number, oid in enumerate(types) if oid == 0 or oid in _DOCUMENTS]
    if not found:
        return None
    return CopyWatcher(copy.form, count, tuple(n for n, _ in found), tuple(json for _, json in found), setting == "mask")


def watcher(columns: tuple[ResultColumn, ...], masks: Mapping[tuple[int, int], Mask], setting: str) -> Watcher | None:
    """For columns of unknown origin, and for documents of known origin that are not masked; ``setting``: off | alert | mask."""
    if setting == "off":
        return None
    found = [
        (number, column.type_oid in _JSON)
        for number, column in enumerate(columns)
        if (column.table, column.attribute) not in masks
        and (column.type_oid in _DOCUMENTS or (column.table == 0 and (column.type_oid in _TEXTS or column.type_oid >= FIRST_USER_OID)))
    ]
    return Watcher(tuple(n for n, _ in found), tuple(json for _, json in found), setting == "mask") if found else None


def sanitise(fields: ErrorFields) -> ErrorFields:
    """SQLSTATE, severity and object names stay; the message becomes the condition's name, everything else goes."""
    kept = {kind: fields.fields[kind] for kind in _KEPT_FIELDS if kind in fields.fields}
    kept["M"] = condition(fields.sqlstate).encode()
    return ErrorFields(kept)


def without_position(fields: ErrorFields) -> ErrorFields:
    """A position in a text that the client did not write would mislead it."""
    return ErrorFields({kind: value for kind, value in fields.fields.items() if kind != "P"})


def without_payload(notification: NotificationResponse) -> NotificationResponse:
    """Who sent a notification, and on which channel; a payload has no origin that could be checked against masks."""
    return NotificationResponse(notification.process_id, notification.channel, b"")
