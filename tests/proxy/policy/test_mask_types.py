"""Fitting masked text to its type, and binding a mask to a column."""

from __future__ import annotations

import pytest

from proxy.policy.mask_types import Mask, fit_text, fitted, numeric_shape
from proxy.sql.catalog import Column
from proxy.wire import values


@pytest.mark.parametrize(
    ("text", "oid", "typmod", "original", "expected"),
    [
        ("***", values.TEXT, -1, "x", "***"),
        ("***", values.TEXT, None, "x", "***"),
        ("***", values.VARCHAR, -1, "x", "***"),
        ("***", values.VARCHAR, 6, "x", "**"),
        ("***", values.VARCHAR, None, "x", "*"),  # length not known: never longer than what was there
        ("***", values.BPCHAR, 9, "x    ", "***  "),
        ("***", values.BPCHAR, 5, "x", "*"),
        ("***", values.BPCHAR, None, "x    ", "***  "),
        ("***", values.BPCHAR, -1, "x", "***"),
        ("ß" * 40, values.NAME, -1, "", "ß" * 31),
    ],
)
def test_fit(text: str, oid: int, typmod: int | None, original: str, expected: str) -> None:
    assert fit_text(text, oid, typmod, original) == expected


@pytest.mark.parametrize(
    ("typmod", "shape"), [(327686, (5, 2)), (196612, (3, 0)), ((3 << 16 | 2046) + 4, (3, -2)), ((1000 << 16 | 1000) + 4, (1000, 1000))]
)
def test_numeric_modifiers(typmod: int, shape: tuple[int, int]) -> None:
    assert numeric_shape(typmod) == shape


def test_a_domain_is_nullified_since_results_show_its_base_type() -> None:
    domain = Column(1, "v", 16_400, "crm.postcode", -1, False, values.VARCHAR, "domain")
    assert fitted(Mask("redact", (), "r", True), domain) == Mask("nullify", (), "r", True, -1)


def test_a_known_type_keeps_its_method() -> None:
    column = Column(1, "v", values.VARCHAR, "varchar(20)", 24, False, values.VARCHAR, "base")
    assert fitted(Mask("partial", (0, 4), "r"), column) == Mask("partial", (0, 4), "r", False, 24)
