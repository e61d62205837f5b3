"""A worker whose process keeps a chain of entries as the real one does, and the people who read the ledger."""

from __future__ import annotations

import base64
import secrets
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection
from django.test import Client
from joserfc import jwt
from joserfc.jwk import OKPKey

from audit import services
from controlplane.models import User, Worker
from proxy.ledger.chain import Head
from proxy.ledger.entry import build

Item = dict[str, Any]


class Process:
    """One boot of an enrolled worker."""

    def __init__(self, name: str = "host-a") -> None:
        self.key = Ed25519PrivateKey.generate()
        public = base64.b64encode(self.key.public_key().public_bytes_raw()).decode()
        self.worker = Worker.objects.create(name=name, public_key=public, sealing_key="")
        self.restart()

    def restart(self) -> None:
        self.boot = str(uuid.uuid4())
        self.head = Head(str(self.worker.pk), self.boot)

    def entry(self, kind: str, fields: dict[str, Any], *, time_us: int | None = None) -> Item:
        """The next item of the chain, as it is shipped."""
        text, disclosures = build(
            kind, fields, worker=self.head.worker, boot=self.boot, seq=self.head.seq + 1, prev=self.head.hash,
            time_us=time_us or time.time_ns() // 1000, salts=secrets.token_bytes,
        )  # fmt: skip
        self.head = self.head.after(text)
        return {"entry": text.decode(), "disclosures": disclosures}

    def session(
        self,
        *statements: str,
        subject: str = "support-bot",
        connection: str = "crm",
        decision: str = "allow",
        outcome: str = "ok",
        masked_cells: int = 0,
        time_us: int | None = None,
        **said: Any,
    ) -> list[Item]:
        """A session that runs each of the statements; ``said`` are more fields of what was intended."""
        session, who = str(uuid.uuid4()), {"subject": subject, "issuer": "api-key", "connection": connection, "database": connection}
        items = [
            self.entry(
                "session.opened",
                {"session": session, "kind": "agent", "client": "10.1.2.3:5", "application": "psql", "run": "", "tls": "", **who},
                time_us=time_us,
            )
        ]
        for sql in statements:
            statement = str(uuid.uuid4())
            intended = {
                "session": session,
                "statement": statement,
                "decision": decision,
                "reason": "a grant",
                "sql": sql,
                "parameters": ["7", None],
                **who,
                **said,
            }
            items.append(self.entry("statement.intended", intended, time_us=time_us))
            completed = {
                "session": session,
                "statement": statement,
                "outcome": outcome,
                "rows": 3,
                "masked_cells": masked_cells,
                "duration_us": 1500,
                "bytes": 120,
                "tag": "SELECT 3",
                "sqlstate": "",
            }
            items.append(self.entry("statement.completed", completed, time_us=time_us))
        closed = {"session": session, "statements": len(statements), "reason": "client closed"}
        return [*items, self.entry("session.closed", closed, time_us=time_us)]

    def ship(self, items: list[Item]) -> int:
        return services.ingest(self.worker, self.boot, items)

    def bearer(self) -> str:
        now, me = int(time.time()), str(self.worker.pk)
        claims = {"iss": me, "aud": "tidegate-control", "iat": now, "exp": now + 55, "jti": secrets.token_hex(8)}
        with pytest.warns(Warning, match="EdDSA is deprecated"):
            return f"Bearer {jwt.encode({'alg': 'EdDSA', 'kid': me}, claims, OKPKey.import_key(self.key), algorithms=['EdDSA'])}"


@pytest.fixture
def process(db: None) -> Process:
    return Process()


def elsewhere(work: Callable[[], Any]) -> Any:
    """The work's result as another process would have it: by a connection of its own, which waits for no lock for long."""

    def run() -> Any:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '10s'")
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other:
        return other.submit(run).result()


def person(username: str, **fields: Any) -> User:
    return User.objects.create(username=username, email=f"{username}@example.com", **fields)


@pytest.fixture
def people(db: None) -> dict[str, User]:
    return {
        "ari": person("ari", is_auditor=True), "root": person("root", is_superuser=True), "dana": person("dana", is_approver=True),
        "nobody": person("nobody"), "left": person("left", is_auditor=True, is_active=False),
    }  # fmt: skip


@pytest.fixture
def auditor(people: dict[str, User]) -> Client:
    client = Client()
    client.force_login(people["ari"])
    return client
