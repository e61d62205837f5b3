from __future__ import annotations

from policies.templatetags.spoken import conditions, moment
from proxy.policy.bundle import Bundle
from tests.proxy.policy.example import bundle, rule


def test_times() -> None:
    assert moment(0) == "1970-01-01 00:00 UTC"
    assert moment(None) == ""


def test_conditions() -> None:
    known: Bundle = bundle(rules=[
        rule(name="all"), rule(name="some", actions=["drop"], without_where=True, between={"from": "22:00", "to": "06:00"}),
    ])  # fmt: skip
    assert conditions(known.rules[0]) == "always"
    assert conditions(known.rules[1]) == "actions: drop; without_where: yes; between: from 22:00 to 06:00 tz UTC"
