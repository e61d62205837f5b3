from proxy.session.pending import Kind, Pending
from proxy.session.questions import Question, put
from proxy.wire import frontend
from tests.proxy.session.playbook import _messages


def test_a_question_leaves_nothing_behind() -> None:
    pending, question = Pending(), Question(b"SELECT 1")
    sent = put(pending, question, b"own", within_batch=False)
    assert _messages(sent, frontend.NAMES) == ["Close", "Close", "Parse", "Bind", "Execute", "Close", "Close", "Sync"]
    assert [one.kind for one in pending] == [
        Kind.CLOSE, Kind.CLOSE, Kind.PARSE, Kind.BIND, Kind.EXECUTE, Kind.CLOSE, Kind.CLOSE, Kind.SYNC,
    ]  # fmt: skip
    assert all(one.swallow and one.question is question for one in pending)
    assert b"Pown\0" in sent
    assert sent.count(b"Sown\0") == sent.count(b"C\0\0\0\x09Pown\0") == 2  # one that failed before has left its own


def test_inside_of_a_batch_there_is_no_sync() -> None:
    pending = Pending()
    assert put(pending, Question(b"SELECT 1"), b"own", within_batch=True).endswith(frontend.FLUSH_MESSAGE)
    assert pending.boundaries == 0


def test_the_first_value() -> None:
    question = Question(b"SELECT 1")
    assert question.cell is None
    question.rows = [(b"1", b"2"), (b"3", b"4")]
    assert question.cell == b"1"
