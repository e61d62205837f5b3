"""Whether the gateway and the target mean the same relation by the same name.

Names bind through the search path, the role and the temporary objects of the session. The target tells nobody when they
change (PostgreSQL 18 reports ``search_path``), so they are asked for with a *probe* that the client never sees: before
the first statement that needs them, and again after any statement that may have changed them, its transaction's end
included. While they are not known, what needs them is refused.

The text's encoding and ``standard_conforming_strings`` belong here too: with some values of either, gateway and target
would read different statements.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from proxy.sql.facts import Facts
from proxy.wire.codec import MalformedError

PROBE = b"SELECT pg_catalog.array_to_json(pg_catalog.current_schemas(true)), current_user"

# client_encoding as PostgreSQL reports it → Python's codec. In none of them can a byte of a longer character be ASCII.
CODECS = {
    "UTF8": "utf-8", "SQL_ASCII": "utf-8", "LATIN1": "latin-1", "LATIN2": "iso8859-2", "LATIN3": "iso8859-3", "LATIN4": "iso8859-4",
    "LATIN5": "iso8859-9", "LATIN6": "iso8859-10", "LATIN7": "iso8859-13", "LATIN8": "iso8859-14", "LATIN9": "iso8859-15",
    "LATIN10": "iso8859-16", "ISO_8859_5": "iso8859-5", "ISO_8859_6": "iso8859-6", "ISO_8859_7": "iso8859-7", "ISO_8859_8": "iso8859-8",
    "WIN1250": "cp1250", "WIN1251": "cp1251", "WIN1252": "cp1252", "WIN1253": "cp1253", "WIN1254": "cp1254", "WIN1255": "cp1255",
    "WIN1256": "cp1256", "WIN1257": "cp1257", "WIN1258": "cp1258", "WIN866": "cp866", "WIN874": "cp874", "KOI8R": "koi8-r",
    "KOI8U": "koi8-u", "EUC_JP": "euc_jp", "EUC_KR": "euc_kr", "EUC_CN": "gb2312",
}  # fmt: skip


class Names:
    """What is known of the session's name resolution; ``path`` is ``current_schemas(true)`` or ``None``."""

    def __init__(self) -> None:
        self.path: tuple[str, ...] | None = None
        self.role = ""
        self.asking = False  # the probe is under way, and nothing was reported since
        self.reading_in_doubt = False  # encoding or string syntax may have changed since the server last reported them
        self.changed_in_transaction = False  # … any of these: its end may change them again

    def forwarded(self, facts: Facts) -> None:
        """A statement is on its way: forget what it may change."""
        if facts.transaction:
            if facts.transaction in _GIVES_BACK and self.changed_in_transaction:
                self.path = None
                self.reading_in_doubt = True
            return
        if facts.names_change:
            self.path = None
        if facts.reading_changes:
            self.reading_in_doubt = True
        self.changed_in_transaction = self.changed_in_transaction or facts.names_change or facts.reading_changes

    def settled(self, *, idle: bool) -> None:
        """Nothing is under way, so every ParameterStatus that was due has come. ``idle``: and no transaction is open."""
        self.reading_in_doubt = False
        if idle:
            self.changed_in_transaction = False

    def reported(self, name: str, changed: bool) -> None:
        """A ParameterStatus arrived."""
        if changed and name in ("search_path", "session_authorization", "is_superuser"):
            self.path, self.asking = None, False

    def failed(self) -> None:
        """A statement failed or its batch was abandoned: what it changed may have been undone."""
        if self.changed_in_transaction:
            self.path = None

    def learn(self, rows: Sequence[tuple[bytes | None, ...]]) -> None:
        """The probe's answer.

        Raises:
            MalformedError: it is not one.
        """
        row = rows[0] if len(rows) == 1 else ()
        if len(row) != 2 or row[0] is None or row[1] is None:
            raise MalformedError("the target's answer about the search path is not understood")
        try:
            schemas = json.loads(row[0])
        except ValueError:
            raise MalformedError("the target's answer about the search path is not understood") from None
        self.path = tuple(map(str, schemas))
        self.role = row[1].decode("utf-8", "replace")


def need_names(statements: Iterable[Facts]) -> bool:
    """Whether what they mean depends on how names resolve."""
    return any(f.reads or f.writes or f.columns or f.functions or f.runs_prepared or f.action not in _NAMELESS for f in statements)


def given_back_within(statements: Iterable[Facts]) -> bool:
    """Whether a transaction ends in the text before a statement that needs names.

    (What the text itself sets is the analysis' concern; what was set before it, only the session knows.)
    """
    ended = False
    for facts in statements:
        if ended and need_names((facts,)):
            return True
        ended = ended or facts.transaction in _GIVES_BACK
    return False


_NAMELESS = frozenset({"select", "transaction", "set", "prepare", "cursor", "listen"})
_GIVES_BACK = frozenset({"commit", "rollback", "rollback_to", "prepare"})  # SET LOCAL ends, or what was set is undone


def codec(encoding: str) -> str | None:
    """Python's codec for a client_encoding that the analysis can read, else ``None``."""
    return CODECS.get(encoding.upper())
