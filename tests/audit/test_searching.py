"""What is typed finds the statements that it should, and no others."""

from __future__ import annotations

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit import searching
from audit.models import Statement

pytestmark = pytest.mark.django_db
TEXTS = {
    "plain": "SELECT id FROM crm.orders WHERE id = 7",
    "join": 'select o.id from crm.orders o join "crm"."customers" c on o.customer_id = c.id',
    "literal": "INSERT INTO notes VALUES ('O''Brien, ann@example.com: 100% sure_thing')",
    "umlaut": "SELECT 'Grüße' FROM straße",
    "number": "UPDATE t SET a = -1.5, b = 1e5, c = 0x1F WHERE n = 4711",
}


@pytest.fixture
def texts(process) -> None:
    process.ship(process.session(*TEXTS.values()))


def found(query: str) -> set[str]:
    known = {text: name for name, text in TEXTS.items()}
    return {known[text] for text in Statement.objects.filter(searching.condition(query)).values_list("sql", flat=True)}


@pytest.mark.parametrize(("query", "names"), [
    ("orders", {"plain", "join"}), ("ORDERS", {"plain", "join"}), ("orders customers", {"join"}), ("customers orders", {"join"}),
    ("crm.orders", {"plain", "join"}), ("orders.crm", set()), ("crm.customers", {"join"}), ("order", set()), ("order*", {"plain", "join"}),
    ("customer_id", {"join"}), ("custom*", {"join"}), ("orders -join", {"plain"}), ('orders -"crm.customers"', {"plain"}),
    ("-select", {"literal", "number"}),
    ('"id = 7"', {"plain"}), ('"id  = 7"', set()), ('"ID = 7"', set()), ('"WHERE id = "', {"plain"}), ('"FROM crm.ord"', {"plain"}),
    ("O'Brien", {"literal"}), ("ann@example.com", {"literal"}), ("example", {"literal"}), ('"100% sure_"', {"literal"}),
    ("sure_thing", {"literal"}),
    ("grüße", {"umlaut"}), ("STRASSE", set()), ("straße", {"umlaut"}), ("4711", {"number"}), ("47*", {"number"}),
    ("-1.5", {"plain", "join", "literal", "umlaut"}),
    ('"-1.5"', {"number"}), ("1e5", {"number"}), ("0x1F", {"number"}), ('"unclosed', set()), ("= orders", {"plain", "join"}),
])  # fmt: skip
def test_what_is_found(texts, query, names):
    assert found(query) == names


@pytest.mark.parametrize("query", ["%", '"*/"', "- -", "=", '""', "x" * 501, "\0", '"" ""'])
def test_what_finds_nothing_is_told(query):
    with pytest.raises(searching.Unsearchable, match=r"letter or digit|At most"):
        searching.condition(query)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=st.sampled_from("ab1 é\"'\\-*:&|!()<>@._%\0\n\u202e´€") | st.characters(codec="utf-8"), max_size=30))
def test_no_query_is_an_error(texts, query):
    try:
        condition = searching.condition(query)
    except searching.Unsearchable:
        return
    assert Statement.objects.filter(condition).count() <= len(TEXTS)


def test_the_index_of_words_is_used(texts):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        for query in ("orders", "crm.orders", "cust*", '"id = 7"'):
            plan = Statement.objects.filter(searching.condition(query)).order_by().explain()
            assert "statement_search" in plan, plan
