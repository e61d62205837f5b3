"""What workers tell of the targets: by digest, checked, one snapshot for each database, and gone with what it was of."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import pytest
from django.test import Client

from controlplane import catalogs, services, worker_api
from controlplane.models import CatalogSnapshot, Connection
from proxy.sql.catalog import Catalog
from tests.controlplane.conftest import ACTOR, EnrolledWorker
from tests.proxy.sql.example import RECORDED

pytestmark = pytest.mark.django_db
ROWS = json.loads(RECORDED.read_text())
DIGEST = Catalog.load(ROWS).digest


def packed(rows: Any) -> str:
    return base64.b64encode(zlib.compress(json.dumps(rows).encode())).decode()


def told(worker: EnrolledWorker, **changes: Any) -> Any:
    return worker.call("post", "catalog", {"connection": "crm", "database": "crm", "digest": DIGEST, **changes})


def test_the_content_is_wanted_once(worker: EnrolledWorker, crm: Connection) -> None:
    assert told(worker).json() == {"wanted": True}
    assert told(worker, content=packed(ROWS)).json() == {"wanted": False}
    kept = catalogs.newest("crm", "crm")
    assert kept is not None
    assert Catalog.load(catalogs.rows_of(bytes(kept.content))).digest == kept.digest == DIGEST
    assert told(worker).json() == {"wanted": False}
    again = catalogs.newest("crm", "crm")
    assert again is not None
    assert again.read_at == kept.read_at
    assert again.confirmed_at > kept.confirmed_at
    assert again.worker == "host-a"
    assert catalogs.newest("crm", "another") is None


def test_the_newest_takes_the_place_of_the_one_before(worker: EnrolledWorker, crm: Connection) -> None:
    told(worker, content=packed(ROWS))
    smaller = {**ROWS, "functions": []}
    told(worker, digest=Catalog.load(smaller).digest, content=packed(smaller))
    assert CatalogSnapshot.objects.get().digest == Catalog.load(smaller).digest


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"connection": "nowhere"}, "There is no such connection"),
        ({"digest": "0" * 64, "content": packed(ROWS)}, "not the digest"),
        ({"digest": "x"}, "digest"),
        ({"content": "%"}, "not base64"),
        ({"content": base64.b64encode(b"not zlib").decode()}, "not compressed JSON"),
        ({"content": base64.b64encode(zlib.compress(b"{}")[:-1]).decode()}, "cut off"),
        ({"content": packed([1])}, "not the rows"),
        ({"content": packed({"relations": [[1]]})}, "not the rows"),
        ({"content": packed({"secrets": []})}, "not the rows"),
        ({"content": packed({"relations": [["x"]]})}, "not the rows"),
    ],
)
def test_what_is_no_catalog_is_refused(worker: EnrolledWorker, crm: Connection, changes: dict[str, str], said: str) -> None:
    answer = told(worker, **changes)
    assert answer.status_code == 400
    assert said in answer.content.decode()
    assert not CatalogSnapshot.objects.exists()


def test_it_is_bounded(worker: EnrolledWorker, crm: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogs, "LARGEST", 1000)
    assert told(worker, content=packed(ROWS)).status_code == 400
    monkeypatch.setattr(worker_api, "LARGEST_CATALOG", 1000)
    assert told(worker, content=packed(ROWS)).status_code == 413
    assert not CatalogSnapshot.objects.exists()


def test_only_workers_tell(crm: Connection, admin: Client, auditor: Client) -> None:
    for client in (admin, auditor, Client()):
        body = {"connection": "crm", "database": "crm", "digest": DIGEST}
        assert client.post("/api/v1/worker/catalog", body, content_type="application/json").status_code == 401


def test_a_connection_that_leads_elsewhere_forgets(worker: EnrolledWorker, crm: Connection) -> None:
    told(worker, content=packed(ROWS))
    crm.max_rows = 5
    services.save(crm, actor=ACTOR)
    assert CatalogSnapshot.objects.exists()
    crm.host = "another"
    services.save(crm, actor=ACTOR)
    assert not CatalogSnapshot.objects.exists()
