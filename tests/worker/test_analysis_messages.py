import msgspec
import pytest

from proxy.policy.masks import Mask
from proxy.sql.facts import Analysis, AnalysisRequest, Facts, MaskPlan, SyntaxProblem
from worker.analysis_messages import Ask, Hold


def test_a_request_arrives_as_it_was_sent() -> None:
    masks = {(16384, 2): Mask("partial", (0, 4), "r"), (16384, 3): Mask("fixed", ("x",))}
    request = AnalysisRequest("SELECT '\u00e9'", "d", ("a", "b"), masks, "m", frozenset({"f"}))
    message = msgspec.msgpack.decode(msgspec.msgpack.encode(Ask(request)), type=Hold | Ask)
    assert isinstance(message, Ask)
    assert message.request == request
    assert message.request.key == request.key


def test_an_analysis_arrives_as_it_was_sent() -> None:
    facts = Facts("select", frozenset({"select"}), reads=frozenset({"a.b"}), names_change=True)
    analysis = Analysis((facts,), MaskPlan("scan", "SELECT", ("a.b.c",)), SyntaxProblem("m", 1), frozenset({"x"}))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(analysis), type=Analysis) == analysis


def test_nothing_but_an_analysis_can_be_answered() -> None:
    for answer in (b"\x80\x04\x95", msgspec.msgpack.encode({"problem": 7}), msgspec.msgpack.encode(["x"])):
        with pytest.raises(msgspec.MsgspecError):
            msgspec.msgpack.decode(answer, type=Analysis)
