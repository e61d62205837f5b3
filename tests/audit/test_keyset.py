"""Pages that begin where the last one ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.http import QueryDict

from audit import keyset
from audit.models import Checkpoint

pytestmark = pytest.mark.django_db
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def eleven() -> list[int]:
    """Rows of which three each have the same time."""
    made = [
        Checkpoint(size=number, root="", note="", frontier=[], created=BEGIN + timedelta(microseconds=number // 3)) for number in range(11)
    ]
    return [row.pk for row in Checkpoint.objects.bulk_create(made)]


def walk(query: str, way: str, newest_first: bool = True) -> list[list[int]]:
    pages, going = [], True
    while going:
        page = keyset.page(Checkpoint.objects.all(), QueryDict(query), time="created", size=4, newest_first=newest_first)
        pages.append([row.pk for row in page.rows])
        query = getattr(page, way)
        going = bool(query)
    return pages


@pytest.mark.parametrize("near", [0, 2, 5, 100])
@pytest.mark.parametrize("newest_first", [True, False])
def test_both_ways_of_a_search_find_the_same(eleven, newest_first, near, monkeypatch):
    monkeypatch.setattr(keyset, "NEAR", near)
    order = sorted((pk for number, pk in enumerate(eleven) if number not in (4, 9)), reverse=newest_first)
    found, query, pages = Checkpoint.objects.exclude(size__in=(4, 9)), "", []
    while query or not pages:
        asked = QueryDict(query)
        pages.append(keyset.page(found, asked, time="created", size=4, newest_first=newest_first, scattered=True))
        assert pages[-1] == keyset.page(found, asked, time="created", size=4, newest_first=newest_first)
        query = pages[-1].later
    assert [row.pk for page in pages for row in page.rows] == order
    before = keyset.page(found, QueryDict(pages[-1].earlier), time="created", size=4, newest_first=newest_first, scattered=True)
    assert before.rows == pages[-2].rows


@pytest.mark.parametrize("newest_first", [True, False])
def test_forth_and_back_shows_each_row_once(eleven, newest_first):
    order = sorted(eleven, reverse=newest_first)
    there = walk("subject=x", "later", newest_first)
    assert there == [order[:4], order[4:8], order[8:]]
    last = keyset.page(Checkpoint.objects.all(), QueryDict(""), time="created", size=8, newest_first=newest_first).later
    assert walk(last, "earlier", newest_first)[-1] == order[:4]


def test_rows_that_arrive_meanwhile_move_nothing(eleven):
    first = keyset.page(Checkpoint.objects.all(), QueryDict("a=1&a=2"), time="created", size=4)
    Checkpoint.objects.create(size=99, root="", note="", frontier=[], created=BEGIN + timedelta(days=1))
    second = keyset.page(Checkpoint.objects.all(), QueryDict(first.later), time="created", size=4)
    assert [row.pk for row in second.rows] == eleven[::-1][4:8]
    assert first.later.startswith("a=1&a=2&before=")


@pytest.mark.parametrize(
    "query", ["before=", "before=x", "before=1", "before=-1.1", "before=1.1.1", "before=%00"]
)
def test_what_is_no_position_is_the_beginning(eleven, query):
    assert [row.pk for row in keyset.page(Checkpoint.objects.all(), QueryDict(query), time="created", size=4).rows] == eleven[::-1][:4]


def test_nothing_has_no_pages_around(db):
    assert keyset.page(Checkpoint.objects.all(), QueryDict("before=1.1"), time="created") == keyset.Page([], "", "")


def test_neighbours(eleven):
    rows = list(Checkpoint.objects.order_by("pk"))
    assert keyset.neighbour(Checkpoint.objects.all(), rows[4], older=True, time="created") == rows[3]
    assert keyset.neighbour(Checkpoint.objects.all(), rows[4], older=False, time="created") == rows[5]
    assert keyset.neighbour(Checkpoint.objects.all(), rows[0], older=True, time="created") is None
