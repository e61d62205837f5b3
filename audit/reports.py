"""The reports: what each is about, what can be chosen, and its lines.

A line comes from one row (a statement, an approval request, an entry): a page of a report is a page of rows, however long the whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import django_filters
from django.db.models import QuerySet
from django.utils import timezone

from audit.filters import EntryFilter, StatementFilter, Suggested
from audit.models import ApprovalEvent, Entry, Statement
from audit.querysets import CHANGES
from audit.visible import one_line
from controlplane.models import User

PERIODS = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30), "90d": timedelta(days=90)}
CHUNK = 2_000  # rows of a file in memory
TEXT = 400  # characters of a statement's text in a report
Value = str | int | datetime | None
Lines = Callable[[Sequence[Any]], Iterator[list[Value]]]


@dataclass(frozen=True, slots=True)
class Report:
    """``lines`` makes the lines of some rows, one for each; ``times``, ``numbers``: columns that are not text."""

    kind: str
    title: str
    about: str
    columns: tuple[str, ...]
    filters: type[django_filters.FilterSet]
    rows: Callable[[], QuerySet]
    lines: Lines
    times: frozenset[str] = frozenset({"time"})
    numbers: frozenset[str] = frozenset({"rows", "masked cells"})
    needs: str = ""  # the filter without which it says nothing

    def chosen(self, parameters: Mapping[str, Any], user: User) -> django_filters.FilterSet:
        """The filter with these parameters, over what this person may see."""
        return self.filters(parameters, queryset=self.rows().visible_to(user))

    def whole(self, found: QuerySet) -> Iterator[list[Value]]:
        """All lines, the oldest first; a few thousand rows are in memory."""
        rows = found.order_by("time", "pk").iterator(chunk_size=CHUNK)
        while chunk := list(islice(rows, CHUNK)):
            yield from self.lines(chunk)


def _choosing(base: type[django_filters.FilterSet], *names: str) -> type[django_filters.FilterSet]:
    """A filter with some of another one's fields, and periods that end now: a saved report moves on with them."""
    period = django_filters.ChoiceFilter(
        label="Period", empty_label="any", method="in_period", choices=[(name, f"last {_words(name)}") for name in PERIODS]
    )
    made = type("ReportFilter", (base,), {"period": period, "in_period": lambda self, found, name, value: _since(found, value)})
    made.base_filters = {name: made.base_filters[name] for name in (*names, "period", "since", "until")}
    return made


def _words(period: str) -> str:
    return "24 hours" if period == "24h" else f"{period[:-1]} days"


def _since(found: QuerySet, period: str) -> QuerySet:
    return found.filter(time__gte=timezone.now() - PERIODS[period])


def _joined(names: Iterable[str]) -> str:
    return ", ".join(names)


def _access(rows: Sequence[Statement]) -> Iterator[list[Value]]:
    for row in rows:
        yield [
            row.time,
            row.subject,
            row.connection,
            _joined(row.actions),
            _joined(row.relations),
            _joined(row.masked),
            row.decision,
            row.outcome,
            row.rows,
            row.masked_cells,
            one_line(row.beginning, TEXT),
        ]


def _column(rows: Sequence[Statement]) -> Iterator[list[Value]]:
    for row in rows:
        yield [
            row.time,
            row.subject,
            row.connection,
            _joined(row.actions),
            _joined(row.columns),
            _joined(row.masked),
            row.outcome,
            row.rows,
            row.masked_cells,
            one_line(row.beginning, TEXT),
        ]


def _refusals(rows: Sequence[Statement]) -> Iterator[list[Value]]:
    reasons = dict(Entry.objects.filter(pk__in=[row.pk for row in rows]).values_list("pk", "canonical"))
    for row in rows:
        reason = json.loads(reasons[row.pk])["fields"].get("reason", "")
        yield [
            row.time,
            row.subject,
            row.connection,
            _joined(row.actions),
            _joined(row.relations),
            row.sqlstate,
            _joined(row.rules),
            one_line(str(reason), TEXT),
            one_line(row.beginning, TEXT),
        ]


def _approvals(rows: Sequence[ApprovalEvent]) -> Iterator[list[Value]]:
    names = [row.request for row in rows]
    steps: dict[str, list[ApprovalEvent]] = {}
    for step in ApprovalEvent.objects.filter(request__in=names).order_by("time", "pk"):
        steps.setdefault(step.request, []).append(step)
    texts = dict(Statement.objects.filter(approval__in=names).listed().values_list("approval", "beginning"))
    for row in rows:
        yield _approval(row, steps.get(row.request, []), texts.get(row.request, ""))


def _approval(asked: ApprovalEvent, steps: list[ApprovalEvent], text: str) -> list[Value]:
    answer = next((step for step in steps if step.event in ("approved", "rejected", "expired", "cancelled")), None)
    used = next((step.time for step in steps if step.event == "consumed"), None)
    people = _joined(dict.fromkeys(step.by for step in steps if step.event in ("voted", "approved", "rejected") and step.by))
    waited = round((answer.time - asked.time).total_seconds()) if answer else None
    return [
        asked.time,
        asked.subject,
        asked.connection,
        answer.event if answer else "open",
        people,
        answer.time if answer else None,
        waited,
        used,
        one_line(text, TEXT),
        asked.request,
    ]


def _changes(rows: Sequence[Entry]) -> Iterator[list[Value]]:
    for row in rows:
        fields, opened = json.loads(row.canonical)["fields"], json.loads(row.disclosures)
        values = [json.dumps(opened[name]["value"], ensure_ascii=False) if name in opened else "" for name in ("before", "after")]
        yield [
            row.time,
            *(str(fields.get(name, "")) for name in ("actor", "model", "object", "action")),
            *(one_line(v, 2_000) for v in values),
        ]


class ColumnFilter(StatementFilter):
    """The column must be named: without it the report would be of everything."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.form.fields["column"].required = bool(self.data)
        self.form.fields["column"].widget = Suggested("column")


class RefusedFilter(StatementFilter):
    """Over statements that were refused, which the index of terms finds."""

    scattered = True


_STATEMENT = ("subject", "connection", "action", "table")
REPORTS = {
    report.kind: report
    for report in (
        Report(
            "access",
            "Access by subject",
            "Every statement of a subject: what it did to which tables, and what it was shown.",
            (
                "time",
                "subject",
                "connection",
                "actions",
                "tables",
                "masked columns",
                "decision",
                "outcome",
                "rows",
                "masked cells",
                "statement",
            ),
            _choosing(StatementFilter, *_STATEMENT, "decision", "outcome"),
            lambda: Statement.objects.listed(),
            _access,
        ),
        Report(
            "column",
            "Access to a column",
            "Who touched a column, in which statements, and whether its values were masked.",
            ("time", "subject", "connection", "actions", "columns", "masked columns", "outcome", "rows", "masked cells", "statement"),
            _choosing(ColumnFilter, "column", "subject", "connection", "masked"),
            lambda: Statement.objects.listed(),
            _column,
            needs="column",
        ),
        Report(
            "refusals",
            "Refusals",
            "Statements that were not run, which rule said so and why.",
            ("time", "subject", "connection", "actions", "tables", "sqlstate", "rules", "reason", "statement"),
            _choosing(RefusedFilter, *_STATEMENT, "rule"),
            lambda: Statement.objects.filter(terms__contains=["outcome:refused"]).listed(),
            _refusals,
        ),
        Report(
            "approvals",
            "Approvals",
            "What was held for approval, who answered, and how long it took.",
            ("time", "subject", "connection", "answer", "by", "answered", "waited (s)", "used", "statement", "request"),
            _choosing(EntryFilter, "subject", "connection"),
            lambda: ApprovalEvent.objects.filter(event="requested"),
            _approvals,
            times=frozenset({"time", "answered", "used"}),
            numbers=frozenset({"waited (s)"}),
        ),
        Report(
            "changes",
            "Policy changes",
            "Who changed which subject, grant, mask, rule or workflow, with what was before and after.",
            ("time", "actor", "model", "object", "action", "before", "after"),
            _choosing(EntryFilter),
            lambda: Entry.objects.filter(kind=CHANGES),
            _changes,
        ),
    )
}
