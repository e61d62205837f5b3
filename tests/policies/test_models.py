from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from controlplane import services
from policies.models import MaskingRule, Retention, StatementRule

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: MaskingRule(name="m", columns=["a.b"], method={"name": "redact"}), "columns"),
        (lambda: MaskingRule(name="m", columns=["a.b.c"], method={"name": "x"}), "method"),
        (lambda: StatementRule(name="r", then="approve"), "workflow"),
        (lambda: StatementRule(name="r", then="deny", when={"x": 1}), "when"),
        (lambda: StatementRule(name="r", then="deny", when={"groups": ["none"]}), "when"),
        (lambda: StatementRule(name="r", then="perhaps"), "then"),
    ],
)
def test_what_is_wrong_is_said_at_the_field(make, field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        make().full_clean()
    assert field in refused.value.message_dict


def test_an_end_needs_somebody_who_is_cleared() -> None:
    rule = MaskingRule(name="m", columns=["a.b.c"], method={"name": "redact"}, cleared_until=timezone.now())
    with pytest.raises(ValidationError, match="somebody who is cleared"):
        services.save(rule, actor="a test")


def test_there_is_one_retention() -> None:
    Retention.objects.create(pk=1, entries_days=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        Retention.objects.create(pk=2, entries_days=1)
