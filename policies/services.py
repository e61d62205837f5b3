"""What other apps ask of the policy."""

from __future__ import annotations

from django.db.models import Q

from policies.models import MaskingRule, StatementRule


def rules_naming(kind: str, name: str) -> list[str]:
    """Names of the statement rules whose conditions name this subject, group or connection.

    ``kind``: ``subjects``, ``groups`` or ``connections``.
    """
    return list(StatementRule.objects.filter(**{f"when__{kind}__contains": [name]}).values_list("name", flat=True))


def masked_columns(connection: str) -> list[str]:
    """The column patterns that masking rules name for a connection, whoever is cleared."""
    over = MaskingRule.objects.filter(Q(connections__name=connection) | Q(connections__isnull=True)).distinct()
    return [column for rule in over for column in rule.columns]
