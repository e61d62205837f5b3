"""What an approver is shown, and what an approval covers."""

from typing import Any

from proxy import effects as fx
from proxy.wire.frontend import SYNC_MESSAGE, Bind, Execute, Parse, Query
from tests.proxy.session.example import HELD, bundle, one
from tests.proxy.session.playbook import Playbook

DELETE = {"delete": one("delete", writes=frozenset({"crm.orders"}))}
PARSED, BOUND = b"1\0\0\0\x04", b"2\0\0\0\x04"
RUN = ["record statement.intended approve", "server Query"]



def held(analyses: dict[str, Any] | None = None, **policy: Any) -> Playbook:
    return Playbook(bundle(**{**HELD, **policy}), analyses or DELETE).sign_in()



def request(book: Playbook) -> dict[str, Any]:
    return dict([e for e in book.effects if isinstance(e, fx.RequestApproval)][-1].request)




def test_what_the_approver_is_told() -> None:
    book = held()
    book.client(Parse(b"", b"delete", (20, 0)), Bind(b"", b"", (1, 0), (b"\0\0\0\0\0\0\0\x07", b"x")), Execute(b""), SYNC_MESSAGE)
    book.server(PARSED, BOUND)
    told = request(book)
    assert told["parameters"] == [{"n": 1, "oid": 20, "text": "7"}, {"n": 2, "oid": 0, "text": "x"}]
    assert (told["sql"], told["subject"], told["connection"], told["workflow"]) == ("delete", "bot", "crm", "owners")
    assert (told["relations"], told["actions"], told["in_transaction"]) == (["crm.orders"], ["delete"], False)
    assert set(told) == {
        "binding", "workflow", "subject", "issuer", "connection", "database", "session", "statement", "decision", "sql", "parameters",
        "actions", "relations", "reason", "rules", "masked", "bundle", "in_transaction", "client", "application", "run", "preview", "bound",
    }  # fmt: skip


def test_the_binding_covers_text_and_parameters() -> None:
    bindings = set()
    for value in (b"7", b"8", None):
        book = held()
        book.client(Parse(b"", b"delete"), Bind(b"", b"", (), (value,)), Execute(b""), SYNC_MESSAGE)
        book.server(PARSED, BOUND)
        bindings.add(request(book)["binding"])
    for _ in range(2):
        book = held()
        book.client(Query(b"delete"))
        bindings.add(request(book)["binding"])
    assert len(bindings) == 4


def test_binary_values_of_unknown_types_are_shown_in_hexadecimal() -> None:
    book = held()
    book.client(Parse(b"", b"delete"), Bind(b"", b"", (1,), (b"\x01\x02",)), Execute(b""), SYNC_MESSAGE)
    book.server(PARSED, BOUND)
    assert request(book)["parameters"][0]["text"] == "\\x0102"


