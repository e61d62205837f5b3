"""Records come before bytes."""

from proxy import effects as fx
from proxy.wire.frontend import Query
from tests.proxy.session.example import one, rule
from tests.proxy.session.playbook import Playbook

NO_DROP = {"rules": [rule("drop", "deny")]}
DROP = {"drop table t": one("drop", writes=frozenset({"t"}))}
ALLOWED = ["record statement.intended allow", "server Query"]
DENIED = ["record statement.intended deny", "record statement.completed refused"]
PARSED, BOUND, CLOSED, NO_DATA = b"1\0\0\0\x04", b"2\0\0\0\x04", b"3\0\0\0\x04", b"n\0\0\0\x04"




def test_every_record_comes_before_the_bytes_it_vouches_for() -> None:
    book = Playbook().sign_in()
    book.client(Query(b"select 1"), Query(b"select 2"))
    for position, effect in enumerate(book.effects):
        if isinstance(effect, fx.SendToServer):
            before = sum(isinstance(e, fx.Record) for e in book.effects[:position])
            queries = sum(bytes(e.data).count(b"select") for e in book.effects[: position + 1] if isinstance(e, fx.SendToServer))
            assert before >= queries


