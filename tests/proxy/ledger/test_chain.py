"""The chain of one boot: gaps, forged links, strangers."""

from __future__ import annotations

import pytest

from proxy.ledger.chain import ChainError, Head, extend, extend_all
from proxy.ledger.entry import GENESIS, entry_hash
from tests.proxy.ledger.evidence import Ledger


def entries(count: int = 4) -> list[bytes]:
    ledger = Ledger()
    for number in range(count):
        ledger.append("w1", "b1", "session.closed", statements=number)
    return ledger.entries


def test_a_whole_chain() -> None:
    contents = entries()
    head, read = extend_all(Head("w1", "b1"), contents)
    assert head == Head("w1", "b1", 4, entry_hash(contents[-1]).hex())
    assert [entry["seq"] for entry in read] == [1, 2, 3, 4]
    assert read[0]["prev"] == GENESIS


@pytest.mark.parametrize(
    ("change", "error", "expected"),
    [
        (lambda items: items[1:], "gap", 1),
        (lambda items: [items[0], items[2]], "gap", 2),
        (lambda items: [items[0], items[0]], "gap", 2),
        (lambda items: [items[0], items[2], items[1]], "gap", 2),
        (lambda items: [items[0].replace(b'"statements":0', b'"statements":9'), *items[1:]], "hash", 2),
        (lambda items: [items[0], items[1] + b" "], "malformed", 2),
        (lambda items: [items[0], b"\xff"], "malformed", 2),
        (lambda items: [items[0].replace(b'"w1"', b'"w2"')], "boot", 1),
        (lambda items: [items[0].replace(b'"b1"', b'"b2"')], "boot", 1),
    ],
)
def test_what_does_not_continue(change: object, error: str, expected: int) -> None:
    with pytest.raises(ChainError) as caught:
        extend_all(Head("w1", "b1"), change(entries()))  # type: ignore[operator]
    assert (caught.value.error, caught.value.expected) == (error, expected)
    assert caught.value.detail


def test_the_maker_and_the_checker_agree_on_the_head() -> None:
    first, second = entries(2)
    made = Head("w1", "b1").after(first)
    checked, _ = extend(Head("w1", "b1"), first)
    assert made == checked
    assert extend(made, second)[0].seq == 2
