from typing import Any

import pytest

from proxy.policy.masks import Mask
from proxy.session.gate import names_matter, reading_matters
from proxy.sql.facts import CopyOut, MaskPlan
from proxy.wire.backend import ParameterStatus
from proxy.wire.copy_data import CopyFormat
from proxy.wire.frontend import SYNC_MESSAGE, Bind, Execute, Parse, Query
from tests.proxy.session.example import MASKED, bundle, one
from tests.proxy.session.playbook import Playbook

RULE = {"name": "r", "then": "deny", "workflow": None, "message": None, "shadow": False}


def matters(**policy: Any) -> bool:
    compiled = bundle(**policy)
    connection = compiled.connection("crm")
    assert connection is not None
    return names_matter(compiled, connection)


def test_names_do_not_matter_where_everything_is_allowed() -> None:
    assert not matters()
    assert not matters(rules=[{**RULE, "when": {"actions": ["drop"]}}])
    assert not matters(rules=[{**RULE, "when": {"relations": ["x"], "connections": ["other"]}}])


def test_names_matter_under_masks_or_opaque_functions() -> None:
    assert matters(**MASKED)
    assert matters(connection={"opaque_functions": "deny"})


@pytest.mark.parametrize("when", [{"relations": ["x"]}, {"columns": ["a.b.c"]}, {"functions": ["f"]}, {"touches_masked": True}])
def test_names_matter_under_rules_that_name_something(when: dict[str, Any]) -> None:
    assert matters(rules=[{**RULE, "when": when}])


def test_the_text_matters_as_soon_as_anything_could_be_refused() -> None:
    for policy, expected in (
        ({}, False), ({"connection": {"default": "deny"}}, True), ({"connection": {"unanalyzable": "deny"}}, True), (MASKED, True),
        ({"rules": [{**RULE, "when": {"actions": ["drop"]}}]}, True),
        ({"rules": [{**RULE, "when": {"actions": ["drop"], "connections": ["other"]}}]}, False),
    ):  # fmt: skip
        compiled: Any = bundle(**policy)
        assert reading_matters(compiled, compiled.connection("crm")) is expected, policy


@pytest.mark.parametrize(("value", "stops"), [(b"***", True), (b"123-45-6789", False), (None, False)])
def test_a_parameter_that_is_what_a_mask_shows(value: bytes | None, stops: bool) -> None:
    plan = MaskPlan(sanitise_errors=True, written=((2, Mask("redact")),))
    book = Playbook(bundle(**MASKED), {"q": one("update", plan, writes=frozenset({"crm.customers"}))}).sign_in()
    words = book.client(Parse(b"", b"q"), Bind(b"", b"", (), (b"***", value)), Execute(b""), SYNC_MESSAGE)
    assert ("record statement.intended deny" in words) is stops


@pytest.mark.parametrize(
    ("copy", "encoding", "reason"),
    [
        (CopyOut(CopyFormat(), problem="the COPY format \"json\" is not known"), "UTF8", "is not known, so detectors"),
        (CopyOut(CopyFormat()), "SJIS", "COPY in the encoding SJIS"), (CopyOut(CopyFormat(), encoding="big5"), "UTF8", "encoding big5"),
        (CopyOut(CopyFormat(), encoding="utf-8"), "SJIS", ""), (CopyOut(CopyFormat("binary")), "SJIS", ""),
        (CopyOut(CopyFormat()), "UTF8", ""),
    ],
)  # fmt: skip
def test_a_copy_that_detectors_could_not_read(copy: CopyOut, encoding: str, reason: str) -> None:
    for setting in ("mask", "alert"):
        book = Playbook(bundle(connection={"detectors": setting}), {"copy": one("copy_to", copy_out=copy)}).sign_in()
        book.server(ParameterStatus("client_encoding", encoding))
        words = book.client(Query(b"copy"))
        assert ("server Query" in words) == (setting == "alert" or not reason)
        assert reason in book.records("statement.intended")[-1]["reason"] or setting == "alert"
