"""From stored entries to the tables that people search in (projected.py), in the transaction that stores the entries.

A boot's rows come from its entries alone, in their order, under the lock of the boot's row: they can be made again at any time
(:func:`rebuild`), and no worker waits for another's. A completion belongs to a statement of its own boot, so that a worker cannot
finish another one's.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from audit import copying, extraction
from audit.extraction import text
from audit.models import Activity, ApprovalEvent, Boot, Entry, Refusals, Session, Statement

CHUNK = 5_000  # entries in memory while a boot's rows are made again
_LONGEST_NAME = 400  # characters: an index holds no longer ones
_MOST_NAMES = 1_000  # of one kind in one statement
_MOST = 2**53  # what a count may be; a worker of ours never comes near
_FAILED = ("error", "lost")
Stored = tuple[Entry, Mapping[str, Any], str]  # the row, its members, the statement's text where it is disclosed


def add(boot: Boot, entries: Sequence[Stored]) -> None:
    """Take entries into account that were just stored, in their order. The caller holds the boot's lock."""
    batch = _Batch(boot)
    for entry, content, sql in entries:
        batch.take(entry, content["fields"], sql)
    batch.save()


def rebuild(boot_id: object) -> int:
    """Make all rows of one boot again; returns how many entries it has. Its worker's next batch waits meanwhile."""
    with transaction.atomic():
        boot = Boot.objects.select_for_update().get(pk=boot_id)
        for model in (Statement, Session, Activity, Refusals, ApprovalEvent):
            model._default_manager.filter(boot=boot).delete()
        count = 0
        for chunk in _chunks(boot):
            add(boot, [(entry, json.loads(entry.canonical), extraction.sql(json.loads(entry.disclosures))) for entry in chunk])
            count += len(chunk)
    return count


def _chunks(boot: Boot) -> Iterator[list[Entry]]:
    seq = 0
    while chunk := list(Entry.objects.filter(boot=boot, seq__gt=seq).order_by("seq")[:CHUNK]):
        yield chunk
        seq = chunk[-1].seq


class _Batch:
    """What some entries of one boot add to each table."""

    def __init__(self, boot: Boot) -> None:
        self._boot = boot
        self._statements: list[Statement] = []
        self._by_name: dict[str, Statement] = {}
        self._late: dict[str, Mapping[str, Any]] = {}  # completions of statements that were stored before
        self._sessions: dict[str, Session] = {}
        self._activity: dict[tuple[datetime, str, str, str], Activity] = {}
        self._refusals: Counter[tuple[datetime, str]] = Counter()
        self._approvals: list[ApprovalEvent] = []
        self._names: set[tuple[str, str]] = set()

    def take(self, entry: Entry, fields: Mapping[str, Any], sql: str) -> None:
        if entry.kind == "statement.intended":
            self._intended(entry, fields, sql)
        elif entry.kind == "statement.completed":
            self._completed(entry, fields)
        elif entry.kind in ("session.opened", "session.closed"):
            self._session(entry, fields)
        elif entry.kind.startswith("approval."):
            self._approval(entry, fields)

    def save(self) -> None:
        self._finish_earlier()
        for row in self._statements:
            row.terms = row.terms_of()
        copying.insert(self._statements)
        copying.insert(self._approvals)
        _upsert_sessions(list(self._sessions.values()))
        _upsert_activity(list(self._activity.values()))
        _upsert_refusals([Refusals(boot=self._boot, hour=hour, rule=rule, statements=n) for (hour, rule), n in self._refusals.items()])
        _learn(self._names)

    def _intended(self, entry: Entry, fields: Mapping[str, Any], sql: str) -> None:
        row = Statement(
            entry=entry, boot=self._boot, time=entry.time, statement=entry.statement, session=entry.session, subject=entry.subject,
            connection=entry.connection, decision=entry.decision, approval=text(fields.get("approval"), 64), sql=sql,
            **{name: _names(fields.get(name)) for name in ("actions", "relations", "columns", "masked", "rules")},
        )  # fmt: skip
        self._statements.append(row)
        self._by_name[entry.statement] = row
        session = self._session(entry, fields)
        session.statements += 1
        session.denied += row.decision == "deny"
        session.held += row.decision == "approve"
        self._sum(row).statements += 1
        if row.decision == "deny":
            self._refusals.update((_hour(row.time), rule) for rule in row.rules)
        self._names |= {("subject", row.subject), ("connection", row.connection)}
        for kind, names in (("action", row.actions), ("relation", row.relations), ("column", row.columns), ("rule", row.rules)):
            self._names.update((kind, name) for name in names)

    def _completed(self, entry: Entry, fields: Mapping[str, Any]) -> None:
        row = self._by_name.get(entry.statement)
        if row is None:
            self._late.setdefault(entry.statement, fields)
        elif not row.outcome:
            self._finish(row, fields)

    def _finish_earlier(self) -> None:
        if not self._late:
            return
        known = Statement.objects.filter(boot=self._boot, statement__in=list(self._late), outcome="").defer("sql", "words")
        finished = {row.statement: row for row in known}
        for name, row in finished.items():
            self._finish(row, self._late[name])
        if finished:
            with connection.cursor() as cursor:
                cursor.executemany(
                    "UPDATE audit_statement SET outcome = %s, tag = %s, rows = %s, masked_cells = %s, sqlstate = %s,"
                    " duration_us = %s, terms = %s WHERE entry_id = %s",
                    [(r.outcome, r.tag, r.rows, r.masked_cells, r.sqlstate, r.duration_us, r.terms_of(), r.pk) for r in finished.values()],
                )

    def _finish(self, row: Statement, fields: Mapping[str, Any]) -> None:
        row.outcome, row.tag, row.sqlstate = (text(fields.get(name), limit) for name, limit in _ENDS)
        row.rows, row.masked_cells, row.duration_us = (_count(fields.get(name)) for name in ("rows", "masked_cells", "duration_us"))
        for total in (self._row_of_session(row.session, row.time), self._sum(row)):
            total.rows += row.rows
            total.masked_cells += row.masked_cells
            total.failed += row.outcome in _FAILED

    def _session(self, entry: Entry, fields: Mapping[str, Any]) -> Session:
        """The session's row, with what this entry says of it."""
        row = self._row_of_session(entry.session, entry.time)
        if entry.kind == "session.closed":
            row.closed_at, row.reason = entry.time, text(fields.get("reason"), 500)
        elif not row.subject or entry.kind == "session.opened":
            for name, limit in _DETAILS:
                setattr(row, name, text(fields.get(name), limit))
        return row

    def _row_of_session(self, name: str, time: datetime) -> Session:
        if name not in self._sessions:
            self._sessions[name] = Session(boot=self._boot, session=name, opened_at=time)
        return self._sessions[name]

    def _sum(self, row: Statement) -> Activity:
        key = (_hour(row.time), row.subject, row.connection, row.decision)
        if key not in self._activity:
            hour, subject, on, decision = key
            self._activity[key] = Activity(boot=self._boot, hour=hour, subject=subject, connection=on, decision=decision)
        return self._activity[key]

    def _approval(self, entry: Entry, fields: Mapping[str, Any]) -> None:
        self._approvals.append(
            ApprovalEvent(
                entry=entry, boot=self._boot, request=text(fields.get("request"), 64), event=entry.kind.removeprefix("approval."),
                time=entry.time, by=text(fields.get("by"), 255), subject=entry.subject, connection=entry.connection,
            )
        )  # fmt: skip


_ENDS = (("outcome", 16), ("tag", 64), ("sqlstate", 5))
_DETAILS = (
    ("subject", 255), ("issuer", 255), ("kind", 16), ("connection", 255), ("database", 255),
    ("client", 255), ("application", 255), ("run", 255),
)  # fmt: skip
_TOTALS = ("statements", "denied", "held", "failed", "rows", "masked_cells")


def _hour(time: datetime) -> datetime:
    return time.replace(minute=0, second=0, microsecond=0)


def _names(value: object) -> list[str]:
    names = [text(name, _LONGEST_NAME) for name in value if isinstance(name, str)] if isinstance(value, list) else []
    return names[:_MOST_NAMES]


def _count(value: object) -> int:
    return min(max(value, 0), _MOST) if isinstance(value, int) else 0


def _upsert_sessions(rows: Sequence[Session]) -> None:
    said = [name for name, _ in _DETAILS]
    columns = ["boot_id", "session", *said, "opened_at", "closed_at", "reason", *_TOTALS]
    # The entry that opens a session comes first; a later one adds only what is still missing.
    later = [f"{name} = COALESCE(NULLIF(session.{name}, ''), EXCLUDED.{name})" for name in [*said, "reason"]]
    later += ["closed_at = COALESCE(EXCLUDED.closed_at, session.closed_at)", *_added("session", _TOTALS)]
    _upsert("audit_session", "session", columns, "boot_id, session", later, rows)


def _upsert_activity(rows: Sequence[Activity]) -> None:
    key, totals = ["boot_id", "hour", "subject", "connection", "decision"], ["statements", "failed", "rows", "masked_cells"]
    _upsert("audit_activity", "activity", [*key, *totals], ", ".join(key), _added("activity", totals), rows)


def _upsert_refusals(rows: Sequence[Refusals]) -> None:
    columns = ["boot_id", "hour", "rule", "statements"]
    _upsert("audit_refusals", "refusals", columns, "boot_id, hour, rule", _added("refusals", ["statements"]), rows)


def _added(table: str, names: Sequence[str]) -> list[str]:
    return [f"{name} = {table}.{name} + EXCLUDED.{name}" for name in names]


def _upsert(table: str, alias: str, columns: list[str], key: str, later: list[str], rows: Sequence[Any]) -> None:
    if not rows:
        return
    names, places = ", ".join(columns), ", ".join(["%s"] * len(columns))
    sql = f"INSERT INTO {table} AS {alias} ({names}) VALUES ({places}) ON CONFLICT ({key}) DO UPDATE SET {', '.join(later)}"  # noqa: S608  # all of it is written here
    with connection.cursor() as cursor:
        cursor.executemany(sql, [[getattr(row, name) for name in columns] for row in rows])


def _learn(names: set[tuple[str, str]]) -> None:
    """Remember names that no statement held before. One order everywhere: no two batches wait for each other."""
    if not names:
        return
    kinds, texts = zip(*sorted(names), strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_name (kind, name) SELECT kind, name FROM unnest(%s::text[], %s::text[]) AS held (kind, name)"
            " WHERE NOT EXISTS (SELECT FROM audit_name AS known WHERE known.kind = held.kind AND known.name = held.name)"
            " ORDER BY 1, 2 ON CONFLICT DO NOTHING",
            [list(kinds), list(texts)],
        )
