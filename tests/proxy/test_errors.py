"""The tree in the module's docstring is the truth about what clients may see."""

import inspect
import re

from proxy import errors
from proxy.errors import Refusal

REASONS = {
    "denied": "r", "approval_needed": "r", "approval_refused": "r", "undecidable": "r", "identity": "r", "wrong_key": "bot",
    "unknown_connection": "crm", "protocol_violation": "r", "server_gone": "r", "unsupported": "r", "undefined_function": "r",
}  # fmt: skip


def made(name: str) -> Refusal:
    if name == "syntax_error":
        return errors.syntax_error('syntax error at or near "x"', 3)
    if name == "too_many_failures":
        return errors.too_many_failures(11.2)
    if name == "too_many_sessions":
        return errors.too_many_sessions("r", "max_sessions")
    if name == "too_many_rows":
        return errors.too_many_rows(5)
    if name == "more_than_approved":
        return errors.more_than_approved(5)
    constructor = getattr(errors, name)
    refusal = constructor(REASONS[name]) if name in REASONS else constructor()
    assert isinstance(refusal, Refusal)
    return refusal


def test_every_refusal_is_in_the_tree_with_its_state() -> None:
    tree = {name: state for state, name in re.findall(r"─ (\w{5}) .*\((\w+)\)", errors.__doc__ or "")}
    constructors = {name for name, _ in inspect.getmembers(errors, inspect.isfunction) if name not in ("dataclass", "_decision")}
    assert set(tree) == constructors
    assert {name: made(name).sqlstate for name in tree} == tree


def test_what_ends_a_session() -> None:
    fatal = {name for name in REASONS if made(name).fatal}
    assert fatal == {"identity", "wrong_key", "unknown_connection", "protocol_violation", "server_gone", "unsupported"}
    assert made("too_many_sessions").fatal
    assert made("shutting_down").fatal
    assert made("idle").fatal
    assert errors.idle(in_transaction=True).fatal
    assert made("internal").fatal
    assert made("too_many_failures").fatal
    assert made("unrecordable").fatal
    assert not made("cancelled").fatal


def test_a_decision_is_named_in_the_detail() -> None:
    assert errors.denied("r", decision="d-1").detail == "Decision d-1."
    assert errors.denied("r").detail == ""


def test_who_failed_too_often_is_told_how_long_to_wait() -> None:
    assert errors.too_many_failures(11.2).hint == "Try again in 12 seconds."
