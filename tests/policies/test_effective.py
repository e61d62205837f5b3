"""The effective policy agrees with the engine: grants, clearances with their ends, and which rule masks first."""

from __future__ import annotations

from policies.effective import effective, who_may, who_sees
from proxy.policy.engine import masks_for
from tests.proxy.policy.example import NOW, bundle, masking, rule
from tests.proxy.sql.example import catalog

SSN, EMAIL = ("crm", "customers", "ssn"), ("crm", "customers", "email")
CLEARED = [{"subjects": ["bot"], "groups": [], "until": NOW + 50}, {"subjects": [], "groups": ["agents"], "until": NOW + 10}]


def test_grants_say_by_what_and_until_when() -> None:
    known = bundle()
    found = effective(known, "bot", known.connections["crm"], NOW, ())
    assert [(grant.actions, grant.via, grant.until, grant.now) for grant in found.grants] == [
        (("explain", "select"), ("group agents",), None, True),
        (("insert",), ("itself",), NOW + 100, True),
    ]
    assert found.actions == ("explain", "insert", "select")
    later = effective(known, "bot", known.connections["crm"], NOW + 100, ())
    assert later.actions == ("explain", "select")
    assert [grant.now for grant in later.grants] == [True, False]
    nobody = effective(known, "token-bot", known.connections["crm"], NOW, ())
    assert "has no grant" in nobody.refused
    assert effective(known, "token-bot", known.connections["open"], NOW, ()).refused == ""


def test_the_first_rule_that_nobody_is_cleared_of_masks() -> None:
    rules = [masking("first", cleared=CLEARED), masking("second", ("*.*.ssn", "crm.customers.email"), method={"name": "nullify"})]
    known = bundle(masking=rules)
    first, second = effective(known, "bot", known.connections["crm"], NOW, (SSN, EMAIL)).masking
    assert (first.cleared, first.until, first.columns) == ("itself", NOW + 50, ("crm.customers.ssn",))
    assert (second.cleared, second.columns) == ("", ("crm.customers.ssn", "crm.customers.email"))
    first, second = effective(known, "token-bot", known.connections["crm"], NOW, (SSN, EMAIL)).masking
    assert (first.columns, second.columns) == (("crm.customers.ssn",), ("crm.customers.email",))


def test_it_agrees_with_the_engine_on_every_column() -> None:
    known = bundle(
        masking=[masking("a", ("*.*.s*",), cleared=CLEARED), masking("b", ("crm.*.ssn", "*.orders.*")), masking("c", ("*.*.*",))]
    )
    structure = catalog()
    columns = {
        (one.schema, one.name, column.name): (one.oid, column.attnum) for one in structure.relations.values() for column in one.columns
    }
    for subject in ("bot", "token-bot"):
        masks = masks_for(known, subject, "crm", structure, NOW).by_column
        found = effective(known, subject, known.connections["crm"], NOW, tuple(columns))
        said = {column: one.rule for one in found.masking if not one.cleared for column in one.columns}
        assert said == {".".join(names): masks[place].rule for names, place in columns.items() if place in masks}


def test_who_sees_a_column() -> None:
    known = bundle(masking=[masking("ssn", cleared=CLEARED)])
    bot, other = who_sees(known, known.connections["crm"], SSN, NOW)
    assert (bot.subject, bot.rule, bot.cleared, bot.until, bot.selects) == ("bot", "", "itself", NOW + 50, True)
    assert (other.subject, other.rule, other.selects) == ("token-bot", "ssn", False)
    assert all(not one.rule and not one.cleared for one in who_sees(known, known.connections["crm"], EMAIL, NOW))
    assert who_sees(known, known.connections["crm"], SSN, NOW + 60)[0].rule == "ssn"


def test_who_may_do_something() -> None:
    known = bundle(rules=[rule(name="a", actions=["insert"]), rule(name="b", connections=["open"]), rule(name="c", without_where=True)])
    may, rules = who_may(known, known.connections["crm"], "insert", NOW)
    assert [(one.subject, one.by, one.until) for one in may] == [("bot", "itself", NOW + 100)]
    assert [one.name for one in rules] == ["a", "c"]
    everybody, _ = who_may(known, known.connections["open"], "drop", NOW)
    assert [one.by for one in everybody] == ["the connection's default"] * 2
