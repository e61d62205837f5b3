from __future__ import annotations

import pytest

from controlplane.models import Connection
from policies.policy_file import current, normal
from tests.policies.conftest import apply

pytestmark = pytest.mark.django_db


def test_a_row_reads_as_the_entry_that_made_it() -> None:
    entry = {"name": "crm", "host": "db", "dbname": "crm", "user": "u", "unanalyzable": {"approve": "w"}, "statement_timeout": "30s"}
    entry |= {"max_sessions": 50, "max_sessions_per_subject": 5, "idle_timeout": "15m"}
    apply(f"workflows: [{{name: w, approvers: {{}}}}]\nconnections: [{entry!r}]")
    assert current.connection(Connection.objects.get()) == normal.connection(entry)


def test_nothing_is_made_before_what_it_names() -> None:
    order = current.ORDER
    for first, then in [
        ("groups", "users"),
        ("users", "subjects"),
        ("oidc", "subjects"),
        ("workflows", "connections"),
        ("connections", "grants"),
    ]:
        assert order.index(first) < order.index(then)
    assert current.known("subjects") == []
    assert current.retention() == {"entries": None}
