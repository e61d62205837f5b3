"""Entries: one spelling only, every field classified, sensitive values only as commitments."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.ledger.entry import CLASSES, GENESIS, EntryError, build, canonical, commitment, entry_hash, parse

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3),
    max_leaves=10,
)


def make(kind: str = "session.closed", prev: str | bytes = GENESIS, seq: int = 1, **fields: Any) -> tuple[bytes, dict[str, Any]]:
    return build(
        kind, fields, worker="w", boot="b", seq=seq, prev=prev, time_us=1_700_000_000_000_000, salts=lambda count: bytes(range(count))
    )


def test_golden_entry() -> None:
    content, disclosures = make("session.refused", client="10.1.2.3:5", user="réport", sqlstate="28000")
    # SHA-256 over the sixteen bytes 00 … 0f and the JSON text "réport" in UTF-8
    committed = hashlib.sha256(bytes(range(16)) + '"réport"'.encode()).hexdigest()
    assert content.decode() == (
        f'{{"boot":"b","commitments":{{"user":"{committed}"}},"fields":{{"client":"10.1.2.3:5","sqlstate":"28000"}},"kind":"session.refused",'
        f'"prev":"{GENESIS}","seq":1,"time_us":1700000000000000,"v":1,"worker":"w"}}'
    )
    assert disclosures == {"user": {"salt": "AAECAwQFBgcICQoLDA0ODw==", "value": "réport"}}
    assert entry_hash(content) == hashlib.sha256(b"\0" + content).digest()
    assert entry_hash(content).hex() == "e59999a75f7019682b07c629ac3b4d6952c346fc275c081a17b7b1a4028dffcc"


def test_the_same_predecessor_as_bytes_or_hex() -> None:
    assert make(prev=bytes(32)) == make(prev=GENESIS)


def test_sensitive_values_are_not_in_the_entry() -> None:
    content, disclosures = make("statement.intended", sql="SELECT 'sensitive'", parameters=["sensitive", None], subject="bot")
    assert b"sensitive" not in content
    assert set(disclosures) == {"sql", "parameters"}
    members = parse(content)
    assert commitment(bytes(range(16)), ["sensitive", None]) == members["commitments"]["parameters"]


def test_an_unclassified_field_is_secret_and_refused_without_showing_it() -> None:
    with pytest.raises(EntryError, match=r"session\.closed: field 'password'") as caught:
        make(password="hunter2")
    assert "hunter2" not in str(caught.value)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(EntryError, match=r"session\.vanished"):
        make("session.vanished")


@pytest.mark.parametrize("value", [1.5, float("nan"), b"bytes", {1: "a"}, {"a": {"b": 0.1}}, "\ud800", {"\udfff": 1}, object()])
def test_values_that_canonical_json_does_not_hold(value: object) -> None:
    with pytest.raises(EntryError, match=r"field 'reason'"):
        make(reason=value)


@pytest.mark.parametrize("name", [name for kind in CLASSES.values() for name in kind.values()])
def test_every_field_is_public_or_sensitive(name: str) -> None:
    assert name in ("public", "sensitive")


def test_the_classes_are_those_of_the_contract() -> None:
    page = (Path(__file__).parents[3] / "docs" / "contracts.md").read_text(encoding="utf-8")
    section = page.partition("## 5. Audit")[2].partition("## 6.")[0]
    for kind, fields in CLASSES.items():
        group, _, event = kind.partition(".")
        assert group in section
        assert event in section, kind
        for name in fields:
            assert name in section, (kind, name)


@given(plain)
def test_canonical_json_is_read_back_and_stable(value: Any) -> None:
    text = canonical(value)
    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + " ",
        lambda text: text.replace(":", ": ", 1),
        lambda text: text.replace('"v":1', '"v":1,"v":1'),
        lambda text: text.replace('"v":1', '"v":1.0'),
        lambda text: text.replace('"v":1', '"v":2'),
        lambda text: text.replace('"v":1', '"v":true'),
        lambda text: text.replace('"seq":1', '"seq":0'),
        lambda text: text.replace('"seq":1', '"seq":"1"'),
        lambda text: text.replace('"kind":', '"extra":1,"kind":'),
        lambda text: text.replace('"reason":', '"secret":'),
        lambda text: text.replace('"commitments":{}', '"commitments":{"reason":"' + GENESIS + '"}'),
        lambda text: text.replace('"commitments":{}', '"commitments":{"user":"' + GENESIS + '"}'),
        lambda text: text.replace(GENESIS, "1" * 64),
        lambda text: text.replace(GENESIS, "0" * 63),
        lambda text: text.replace("session.closed", "session.vanished"),
        lambda text: text.replace("done", "\\u0064one"),
        lambda text: text.replace("done", "\\ud800"),
        lambda text: text[:-1],
        lambda text: "[" * 100_000,
        lambda text: "1" * 10_000,
        lambda text: "[]",
    ],
)
def test_only_one_spelling_is_read(change: Any) -> None:
    content, _ = make(reason="done")
    assert parse(content)["fields"] == {"reason": "done"}
    with pytest.raises(EntryError):
        parse(change(content.decode()))
