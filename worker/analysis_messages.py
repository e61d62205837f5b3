"""What the pool and its analysis processes say to each other: a length (4 bytes, little endian), then MessagePack.

The answer is always an :class:`~proxy.sql.facts.Analysis`.
"""

from __future__ import annotations

import struct

import msgspec

from proxy.sql.facts import AnalysisRequest

HEAD = struct.Struct("<I")
MAX_CATALOGS = 16  # a process forgets the oldest beyond these; the pool counts along

Rows = dict[str, list[list[str | None]]]  # of a catalog, as the target gave them


class Hold(msgspec.Struct, tag=True):
    """Keep this catalog; answered by an empty ``Analysis``."""

    digest: str
    rows: Rows


class Ask(msgspec.Struct, tag=True):
    request: AnalysisRequest
