"""Pages of the REST interface."""

from __future__ import annotations

import pytest

from audit import pagination

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("query", "count"), [
    ("", 50), ("page_size=2", 2), ("page_size=0", 50), ("page_size=-1", 50), ("page_size=x", 50), ("page_size=999999999999", 50),
    ("page_size=55", 55), ("page_size=56", 55), ("page_size=600", 55),
    ("page_size=²", 50), ("before=x", 50), ("before=1.1", 0), ("q=select", 50), ("q=select&page_size=7", 7), ("decision=deny", 0),
])  # fmt: skip
def test_size_and_position(process, auditor, query, count, monkeypatch):
    monkeypatch.setattr(pagination, "LARGEST", 55)
    process.ship(process.session(*["SELECT 1"] * 60))
    assert len(auditor.get(f"/api/v1/audit/statements?{query}").json()["results"]) == count


@pytest.mark.parametrize("path", ["statements?q=select&", "statements?", "sessions?", "entries?kind=statement.intended&"])
def test_forth_and_back(process, auditor, path):
    for _ in range(3):
        process.ship(process.session("SELECT 1"))
    first = auditor.get(f"/api/v1/audit/{path}page_size=2").json()
    second = auditor.get(first["next"]).json()
    assert (first["previous"], second["next"]) == (None, None)
    assert len({row["id"] for row in first["results"] + second["results"]}) == 3
    assert auditor.get(second["previous"]).json()["results"] == first["results"]


def test_pages_are_described(auditor):
    schema = auditor.get("/api/v1/schema", headers={"Accept": "application/json"})
    text = schema.content.decode()
    assert "PaginatedStatementList" in text
    assert "page_size" in text
