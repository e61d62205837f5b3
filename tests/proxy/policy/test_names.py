"""Name patterns: folding, quoting, wildcards, and names that the facts could not resolve."""

from __future__ import annotations

import pytest

from proxy.policy.names import parse_pattern, split_name, wildcard


@pytest.mark.parametrize(
    ("source", "names", "fits"),
    [
        ("crm.customers.ssn", ("crm", "customers", "ssn"), True),
        ("CRM.Customers.SSN", ("crm", "customers", "ssn"), True),
        ('crm."Customers".ssn', ("crm", "Customers", "ssn"), True),
        ('crm."Customers".ssn', ("crm", "customers", "ssn"), False),
        ('crm."odd.name".ssn', ("crm", "odd.name", "ssn"), True),
        ('crm."say ""hi""".ssn', ("crm", 'say "hi"', "ssn"), True),
        ("*.*.ssn", ("any", "thing", "ssn"), True),
        ("*.*.ssn", ("any", "thing", "ssn_hash"), False),
        ("crm.cust*.s?n", ("crm", "customers", "ssn"), True),
        ("crm.cust*.s?n", ("crm", "customers", "sn"), False),
        ('crm."Cust*".ssn', ("crm", "Customers", "ssn"), True),
        ("crm.a+b.c", ("crm", "aab", "c"), False),
        ("crm.straße.ÄRGER", ("crm", "straße", "Ärger"), True),
        ("crm.t.*", ("crm", "t", "two\nlines"), True),
    ],
)
def test_patterns(source: str, names: tuple[str, ...], fits: bool) -> None:
    assert parse_pattern(source, parts=3).matches(names) is fits


@pytest.mark.parametrize("source", ["", ".", "a..b", "a.b", "a.b.c.d", 'a."b', 'a.""."c"', "a.b .c", "a.b.c.", '"a"b.c.d'])
def test_what_is_no_pattern(source: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        parse_pattern(source, parts=3)


def test_a_missing_schema_is_filled_in() -> None:
    assert parse_pattern("pg_sleep", parts=2, default_schema="pg_catalog").matches(("pg_catalog", "pg_sleep"))
    assert parse_pattern("pg_sleep", parts=2, default_schema="*").any_schema


@pytest.mark.parametrize(
    ("source", "name", "possible", "certain"),
    [
        ("crm.customers", "crm.customers", True, True),
        ("crm.customers", "hr.customers", False, False),
        ("crm.customers", "customers", True, False),  # of an unknown schema
        ("*.customers", "customers", True, True),
        ("crm.orders", "customers", False, False),
        ("crm.customers", "crm.x.customers", True, False),  # a name with a dot in it
    ],
)
def test_names_of_facts(source: str, name: str, possible: bool, certain: bool) -> None:
    pattern = parse_pattern(source, parts=2)
    assert pattern.matches_fact(name, certain=False) is possible
    assert pattern.matches_fact(name, certain=True) is certain


def test_many_stars_are_not_slow() -> None:
    assert wildcard("*" * 5_000 + "x").fullmatch("y" * 100) is None


def test_the_parts_of_a_name() -> None:
    assert split_name('Crm."Odd.Name".ssn', 3) == ("crm", "Odd.Name", "ssn")
    with pytest.raises(ValueError, match="has 2 parts in place of 3"):
        split_name("a.b", 3)
