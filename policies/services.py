"""What other apps ask of the policy."""

from __future__ import annotations

from policies.models import StatementRule


def rules_naming(kind: str, name: str) -> list[str]:
    """Names of the statement rules whose conditions name this subject, group or connection.

    ``kind``: ``subjects``, ``groups`` or ``connections``.
    """
    return list(StatementRule.objects.filter(**{f"when__{kind}__contains": [name]}).values_list("name", flat=True))
