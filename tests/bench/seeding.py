"""A ledger of a month's statements, made as workers make it and stored by the code that stores theirs."""

from __future__ import annotations

import random
import secrets
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from audit import ingestion, services
from controlplane.models import Worker
from proxy.ledger.chain import Head
from proxy.ledger.entry import build

DAYS = 30
BATCH = 4_000  # entries
SUBJECTS = [f"{what}-bot-{number}" for what in ("support", "report", "billing", "etl", "search") for number in range(1, 9)]
CONNECTIONS = ("crm", "erp", "shop", "warehouse", "hr", "logs")
NEEDLE = "SELECT id FROM crm.orders WHERE note = 'quetzalcoatl'"
# (share, text, actions, relations, columns, masked columns)
TEMPLATES = (
    (30, "SELECT id, name, email FROM crm.customers WHERE id = {n}", "select", "crm.customers", "id name email", "email"),
    (
        20,
        "SELECT o.id, o.total FROM crm.orders o JOIN crm.customers c ON c.id = o.customer_id WHERE c.email = 'user{n}@example.com'",
        "select",
        "crm.orders",
        "id total customer_id",
        "",
    ),
    (14, "UPDATE crm.orders SET status = 'sent', note = 'parcel {n}' WHERE id = {n}", "update", "crm.orders", "status note id", ""),
    (10, "INSERT INTO logs.events (kind, body) VALUES ('seen', '{{\"page\": {n}}}')", "insert", "logs.events", "kind body", ""),
    (
        8,
        "SELECT count(*), date_trunc('day', created) FROM shop.visits WHERE region = 'r{n}' GROUP BY 2 ORDER BY 2",
        "select",
        "shop.visits",
        "created region",
        "",
    ),
    (6, "SELECT ssn, salary FROM hr.people WHERE id = {n}", "select", "hr.people", "ssn salary id", "ssn salary"),
    (5, "DELETE FROM crm.orders WHERE id = {n} AND status = 'void'", "delete", "crm.orders", "id status", ""),
    (4, "BEGIN", "transaction", "", "", ""),
    (2, "DROP TABLE crm.archive_{n}", "drop", "crm.archive", "", ""),
    (1, "SELECT pg_read_file('/etc/passwd')", "function", "", "", ""),
)


class _Boot:
    """One process of a worker: its chain of entries, and the clock that it lives by."""

    def __init__(self, worker: Worker, start: datetime, seed: int) -> None:
        self._worker, self._id = worker, uuid.uuid4()
        self._head = Head(str(worker.pk), str(self._id))
        self._now = start
        self._chance = random.Random(seed)
        self._waiting: list[dict[str, Any]] = []

    def fill(self, statements: int, step: timedelta) -> Iterator[int]:
        """Store sessions until there are so many statements, ``step`` apart; yields how many were added."""
        done = 0
        while done < statements:
            length = min(self._chance.choice((1, 5, 20, 100, 400)), statements - done)
            self._session(length, step)
            done += length
            yield length
        self._ship()

    def add(self, sql: str, when: datetime) -> None:
        self._now = when
        self._session(1, timedelta(seconds=1), (1, sql, "select", "crm.orders", "id note", ""))
        self._ship()

    def _session(self, length: int, step: timedelta, template: Any = None) -> None:
        chance = self._chance
        who = {
            "session": str(uuid.UUID(int=chance.getrandbits(128))),
            "subject": chance.choice(SUBJECTS),
            "issuer": "api-key",
            "connection": chance.choice(CONNECTIONS),
            "database": "main",
            "client": f"10.{chance.randrange(9)}.{chance.randrange(99)}.7:50000",
            "application": "psycopg",
            "run": f"run-{chance.randrange(5000)}",
        }
        self._entry("session.opened", {**who, "kind": "agent", "tls": "TLSv1.3"})
        for _ in range(length):
            self._statement(who, template or chance.choices(TEMPLATES, weights=[t[0] for t in TEMPLATES])[0])
            self._now += step
        self._entry("session.closed", {"session": who["session"], "statements": length, "reason": "the client ended it"})
        if len(self._waiting) >= BATCH:
            self._ship()

    def _statement(self, who: dict[str, str], template: Any) -> None:
        _, text, action, relation, columns, masked = template
        number, statement = self._chance.randrange(1_000_000), str(uuid.UUID(int=self._chance.getrandbits(128)))
        decision = "deny" if action in ("drop", "function") else "approve" if action == "delete" and number % 3 == 0 else "allow"
        named = lambda names: [f"{relation}.{name}" for name in names.split()]  # noqa: E731
        sql = text.format(n=number)
        self._entry(
            "statement.intended",
            {
                **who,
                "statement": statement,
                "groups": [],
                "protocol": "extended",
                "actions": [action],
                "relations": [relation] if relation else [],
                "columns": named(columns),
                "functions": [],
                "normalised": text.format(n="$1"),
                "statements": [{"action": action}],
                "decision": decision,
                "decision_id": statement[:8],
                "reason": "granted by agents",
                "rules": [f"no {action}"] if decision != "allow" else [],
                "would": [],
                "bundle": "ab" * 32,
                "catalog": "cd" * 32,
                "plan": "result" if masked else "none",
                "masked": named(masked),
                "approval": str(uuid.uuid4()) if decision == "approve" else "",
                "sql": sql,
                "parameters": [str(number)],
            },
        )
        outcome = (
            "refused" if decision == "deny" else "error" if number % 50 == 0 else "held" if decision == "approve" and number % 2 else "ok"
        )
        rows = number % 20 if outcome == "ok" else 0
        self._entry(
            "statement.completed",
            {
                "statement": statement,
                "session": who["session"],
                "outcome": outcome,
                "tag": f"{action.upper()} {rows}",
                "rows": rows,
                "bytes": rows * 80,
                "masked_cells": rows * len(masked.split()),
                "sqlstate": "42501" if outcome == "refused" else "",
                "duration_us": 300 + number % 9000,
            },
        )

    def _entry(self, kind: str, fields: dict[str, Any]) -> None:
        text, disclosures = build(
            kind,
            fields,
            worker=self._head.worker,
            boot=self._head.boot,
            seq=self._head.seq + 1,
            prev=self._head.hash,
            time_us=int(self._now.timestamp() * 1_000_000),
            salts=secrets.token_bytes,
        )
        self._head = self._head.after(text)
        self._waiting.append({"entry": text.decode(), "disclosures": disclosures})

    def _ship(self) -> None:
        ingestion.store(str(self._worker.pk), self._id, self._waiting)
        self._waiting = []


def seed(statements: int, now: datetime) -> Iterator[int]:
    """Fill the ledger up to ``now``; yields how many statements are there."""
    worker, _ = Worker.objects.get_or_create(name="host-a", defaults={"public_key": "-", "sealing_key": "-"})
    start = now - timedelta(days=DAYS)
    boot, done = _Boot(worker, start, seed=1), 0
    for added in boot.fill(statements, timedelta(days=DAYS) / statements * 0.99):
        done += added
        yield done
    _Boot(worker, start, seed=2).add(NEEDLE, start + timedelta(days=1))
    for number in range(min(statements // 100, 5_000)):
        told = {
            "request": f"{number:08d}-0000-4000-8000-000000000000",
            "subject": SUBJECTS[number % 40],
            "connection": "crm",
            "binding": "ef" * 32,
        }
        for kind, by in (("requested", ""), ("approved", "dana"), ("consumed", SUBJECTS[number % 40])):
            services.record(f"approval.{kind}", {**told, "by": by, "comment": "seen"})


def now() -> datetime:
    return datetime.now(UTC)
