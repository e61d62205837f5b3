"""From an entry's canonical text to a row: the columns that searches need, copied out of its fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from audit.models import Boot, Entry

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = {"subject": 255, "connection": 255, "session": 64, "statement": 64, "decision": 16}


def moment(time_us: int) -> datetime:
    """Microseconds since the epoch as a time, exactly."""
    return _EPOCH + timedelta(microseconds=time_us)


def row(boot: Boot, canonical: str, content: Mapping[str, Any], digest: str, disclosures: Mapping[str, Any]) -> Entry:
    """The row of one entry. ``disclosures``: name → {"salt", "value"}."""
    return Entry(
        boot=boot,
        seq=content["seq"],
        kind=content["kind"],
        time=moment(content["time_us"]),
        hash=digest,
        canonical=canonical,
        disclosures=json.dumps(disclosures, sort_keys=True, separators=(",", ":")),
        **{name: text(content["fields"].get(name), limit) for name, limit in _COLUMNS.items()},
    )


def text(value: object, limit: int) -> str:
    """A field as a column holds it: PostgreSQL's text has no U+0000."""
    return value.replace("\0", "�")[:limit] if isinstance(value, str) else ""


def sql(disclosures: Mapping[str, Any]) -> str:
    """The statement's text for searching, empty where it is withheld; the evidence itself is in ``disclosures``."""
    value = disclosures.get("sql", {}).get("value")
    return value.replace("\0", "�").encode("utf-8", "replace").decode() if isinstance(value, str) else ""
