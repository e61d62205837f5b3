"""What is asked of the target before a statement is held, and the bound that comes of it: real clients and PostgreSQL."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import redis
from psycopg import pq, sql

from tests.conftest import Target
from tests.worker.control_plane import Call, ControlPlane, Reply
from tests.worker.gateway import Gateway, bundle, cancelling, secrets

IDLE, IN_BLOCK, FAILED = pq.TransactionStatus.IDLE, pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR
SETUP = """
DROP SCHEMA IF EXISTS p CASCADE; CREATE SCHEMA p;
CREATE TABLE p.customers (id int PRIMARY KEY, name text, ssn text);
CREATE TABLE p.orders (id int PRIMARY KEY, customer int REFERENCES p.customers ON DELETE CASCADE, note text);
CREATE TABLE p.lines (id int PRIMARY KEY, order_id int REFERENCES p.orders ON DELETE SET NULL ON UPDATE CASCADE);
CREATE TABLE p.kept (id int PRIMARY KEY, order_id int REFERENCES p.orders DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE p.noted (what text);
CREATE SEQUENCE p.numbers;
CREATE FUNCTION p.note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO p.noted VALUES (TG_OP); RETURN NULL; END$$;
CREATE TRIGGER noting AFTER DELETE ON p.orders FOR EACH STATEMENT EXECUTE FUNCTION p.note();
CREATE TRIGGER renoting AFTER UPDATE OF note ON p.orders FOR EACH STATEMENT EXECUTE FUNCTION p.note();
CREATE TRIGGER unlinking AFTER UPDATE ON p.lines FOR EACH ROW EXECUTE FUNCTION p.note();
CREATE TRIGGER resting AFTER DELETE ON p.orders FOR EACH ROW EXECUTE FUNCTION p.note();
ALTER TABLE p.orders DISABLE TRIGGER resting;
CREATE TABLE p.parts (id int, day int) PARTITION BY LIST (day);
CREATE TABLE p.part_1 PARTITION OF p.parts FOR VALUES IN (1);
CREATE TABLE p.part_2 PARTITION OF p.parts FOR VALUES IN (2);
CREATE TRIGGER parting AFTER DELETE ON p.parts FOR EACH ROW EXECUTE FUNCTION p.note();
CREATE VIEW p.shown AS SELECT * FROM p.orders;
"""
ROWS = """
TRUNCATE p.customers, p.orders, p.lines, p.kept, p.parts;
INSERT INTO p.customers SELECT n, 'c' || n, '123-45-' || n FROM generate_series(1, 10) n;
INSERT INTO p.orders SELECT n, 1 + n % 10, 'n' || n FROM generate_series(1, 100) n;
INSERT INTO p.lines SELECT n, n FROM generate_series(1, 100) n;
INSERT INTO p.parts SELECT n, 1 + n % 2 FROM generate_series(1, 9) n;
ANALYZE p.customers, p.orders, p.lines;
"""
MASKS = [{"name": "ssn", "columns": ["p.customers.ssn"], "method": {"name": "redact"}}]
HELD = {
    "name": "changes", "when": {"actions": ["update", "delete", "merge", "truncate"]}, "then": "approve", "workflow": "owners",
    "message": None, "shadow": False,
}  # fmt: skip
BOTH = {**HELD, "name": "into lines", "when": {"actions": ["insert"], "relations": ["p.lines"]}}
WORKFLOW = {"name": "owners", "quorum": 1, "expires": 900, "hold": "wait", "max_wait": 600, "has_approvers": True}
TEN = "DELETE FROM p.orders WHERE customer = 1"


class Desk:
    """The control plane's side: it says yes to each request at once, or no, and does something before."""

    def __init__(self, plane: ControlPlane, queue: redis.Redis) -> None:
        self.queue = queue
        self.requests: list[dict[str, Any]] = []
        self.meanwhile: Callable[[], object] = lambda: None
        self.yes = True
        plane.on("POST", "approvals/claim", Reply(404))
        plane.on("POST", "approvals/*", self._post)
        plane.on("GET", "approvals/*", Reply(200, {"state": "PENDING", "url": "http://tidegate/approvals/x"}))

    def _post(self, call: Call) -> Reply:
        if not call.path.endswith("/consume"):
            return Reply(200, {})
        request = next(one for one in self.published() if one["id"] in call.path)
        self.requests.append(request)
        self.meanwhile()
        return Reply(200, {"state": "CONSUMED", "bound": request["bound"]}) if self.yes else Reply(409, {"state": "REJECTED"})

    def published(self) -> list[dict[str, Any]]:
        found = []
        for raw in self.queue.lrange("celery", 0, -1):
            (envelope,) = json.loads(base64.b64decode(json.loads(raw)["body"]))[0]
            found.append(json.loads(base64.urlsafe_b64decode(envelope.split(".")[1] + "==")))
        return found

    @property
    def preview(self) -> dict[str, Any]:
        found: dict[str, Any] = self.requests[-1]["preview"]
        return found


@pytest.fixture(scope="module")
def world(target15: Target, broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, ControlPlane, redis.Redis]]:
    target15.sql(SETUP)
    plane, queue = ControlPlane(), redis.Redis.from_url(broker)
    gateway = Gateway(plane, tmp_path_factory.mktemp("previews") / "worker", broker)
    try:
        gateway.start(ready=False)
        gateway.until(lambda: plane.called("enrol"))
        plane.publish(bundle(target15, rules=[HELD, BOTH], masking=MASKS, workflows=[WORKFLOW]), secrets(target15))
        gateway.until(lambda: gateway.health()[0] == 200)
        yield gateway, plane, queue
    finally:
        gateway.close()
        plane.close()
        queue.close()


@pytest.fixture
def gateway(world: tuple[Gateway, ControlPlane, redis.Redis], target15: Target) -> Gateway:
    target15.sql(ROWS)
    return world[0]


@pytest.fixture
def desk(world: tuple[Gateway, ControlPlane, redis.Redis]) -> Iterator[Desk]:
    _, plane, queue = world
    queue.delete("celery")
    yield Desk(plane, queue)
    queue.delete("celery")


@contextmanager
def connected(gateway: Gateway) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(gateway.dsn(), autocommit=True) as connection:
        yield connection


def run(client: psycopg.Connection[Any], text: str, *values: object) -> psycopg.Cursor[Any]:
    """By a simple Query, or with values by the extended protocol."""
    return client.execute(sql.SQL(text), values or None)


def outcome(gateway: Gateway, text: str) -> dict[str, Any]:
    """How the last statement of this text ended."""

    def found() -> list[dict[str, Any]]:
        ids = [e["fields"]["statement"] for e in gateway.entries if e["kind"] == "statement.intended" and e["values"]["sql"] == text]
        return [e["fields"] for e in gateway.entries if e["kind"] == "statement.completed" and e["fields"]["statement"] in ids[-1:]]

    gateway.until(found)
    return found()[-1]


def orders(target: Target) -> int:
    [(count,)] = target.sql("SELECT count(*)::int FROM p.orders")
    assert isinstance(count, int)
    return count


# -- the preview


@pytest.mark.parametrize("values", [(), (1,)], ids=["simple", "extended"])
@pytest.mark.parametrize("within", [False, True], ids=["alone", "in a transaction"])
def test_what_a_delete_would_do(gateway: Gateway, desk: Desk, target15: Target, values: tuple[int, ...], within: bool) -> None:
    with connected(gateway) as client:
        if within:
            run(client, "BEGIN")
            run(client, "INSERT INTO p.orders VALUES (101, 1)")  # which nobody else can count
        cursor = run(client, "DELETE FROM p.orders WHERE customer = " + ("%s" if values else "1"), *values)
        assert cursor.rowcount == 10 + within
        assert client.info.transaction_status == (IN_BLOCK if within else IDLE)
        if within:
            run(client, "ROLLBACK")
    assert orders(target15) == (100 if within else 90)
    preview, request = desk.preview, desk.requests[-1]
    assert preview["affected_rows"] == request["bound"] == 10 + within
    assert preview["estimated_rows"] == 10
    assert preview["plan"].startswith("Delete on orders")
    assert preview["triggers"] == [
        {"relation": "p.orders", "name": "noting", "event": "DELETE"}, {"relation": "p.lines", "name": "unlinking", "event": "UPDATE"},
    ]  # fmt: skip
    assert preview["cascades"] == [{"relation": "p.lines", "columns": ["order_id"], "action": "DELETE SET NULL"}]
    assert preview["columns"] == ["p.orders.customer"]
    assert preview["notes"] == []
    assert request["in_transaction"] is within


def test_what_other_statements_would_do(gateway: Gateway, desk: Desk) -> None:
    desk.yes = False
    told = {}
    for text in (
        "UPDATE p.orders SET note = 'x' WHERE id < 8 RETURNING id", "UPDATE p.orders SET customer = 2 WHERE customer = 5",
        "INSERT INTO p.lines VALUES (501, 1), (502, 2)", "INSERT INTO p.lines SELECT id + 500, id FROM p.orders WHERE id > 90",
        "WITH few AS (SELECT id FROM p.orders LIMIT 3) DELETE FROM p.orders AS o WHERE o.id IN (SELECT id FROM few)",
        "DELETE FROM p.customers WHERE id = 1", "DELETE FROM p.parts", "DELETE FROM p.part_1", "TRUNCATE p.orders CASCADE",
        "DELETE FROM p.orders WHERE customer IN (SELECT id FROM p.customers WHERE ssn = '***')",
        "UPDATE p.orders o SET note = '' FROM p.customers c WHERE c.id = o.customer", "DELETE FROM p.shown WHERE id = 3",
        "DELETE FROM p.orders WHERE id = nextval('p.numbers')", "DELETE FROM p.orders WHERE id IN (SELECT id FROM p.lines FOR UPDATE)",
        "DELETE FROM p.nothing", "SELECT 1; DELETE FROM p.orders",
    ):  # fmt: skip
        with connected(gateway) as client, pytest.raises(psycopg.Error):
            run(client, text)
        told[text] = desk.preview if desk.requests and desk.requests[-1]["sql"] == text else None
    counted = [preview and preview["affected_rows"] for preview in told.values()]
    assert counted == [7, 10, 2, 10, 3, 1, 9, 4, None, 100, None, None, None, None, None, None]
    update, key, values, _, _, customer, parts, part, truncate, masked, joined, view, volatile, locking, unknown, several = told.values()
    assert update["triggers"] == [{"relation": "p.orders", "name": "renoting", "event": "UPDATE"}]
    assert update["cascades"] == key["triggers"] == key["cascades"] == values["cascades"] == []
    assert [one["relation"] for one in customer["cascades"]] == ["p.orders", "p.lines"]
    assert [(one["relation"], one["event"]) for one in customer["triggers"]] == [("p.orders", "DELETE"), ("p.lines", "UPDATE")]
    assert parts["triggers"] == [{"relation": "p.parts", "name": "parting", "event": "DELETE"}]
    assert part["triggers"] == [{"relation": "p.part_1", "name": "parting", "event": "DELETE"}]
    assert {one["action"] for one in truncate["cascades"]} == {"TRUNCATE CASCADE"}
    assert {one["relation"] for one in truncate["cascades"]} == {"p.lines", "p.kept"}
    assert "123-45" not in json.dumps(masked)
    assert joined["notes"] == ["How many rows would change is not known: changes that join other tables are not counted."]
    assert view["notes"][0] == "Triggers and foreign keys are not known."
    assert "nextval" in volatile["notes"][-1]
    assert "would lock rows" in locking["notes"][-1]
    assert unknown["notes"]
    assert "several statements" in several["notes"][0]


def test_nothing_is_run_to_find_out(gateway: Gateway, desk: Desk, target15: Target) -> None:
    before = target15.sql("SELECT last_value, is_called FROM p.numbers")
    desk.yes, seen = False, []

    def locks() -> None:
        seen.extend(target15.sql("SELECT count(*) FROM pg_locks WHERE relation = 'p.orders'::regclass AND pid <> pg_backend_pid()"))
        seen.extend(target15.sql("SELECT count(*) FROM (SELECT FROM p.orders FOR UPDATE SKIP LOCKED) AS free"))

    desk.meanwhile = locks
    with connected(gateway) as client, pytest.raises(psycopg.Error):
        run(client, "DELETE FROM p.orders WHERE customer = 1 OR id = nextval('p.numbers')")
    assert target15.sql("SELECT last_value, is_called FROM p.numbers") == before
    assert seen == [(0,), (100,)]


# -- a preview that fails


@pytest.mark.parametrize("values", [(), (1,)], ids=["simple", "extended"])
def test_a_lock_that_is_not_free_blocks_no_approval(gateway: Gateway, desk: Desk, target15: Target, values: tuple[int, ...]) -> None:
    text = "DELETE FROM p.orders WHERE customer = " + ("%s" if values else "1")
    with connected(gateway) as client:
        for within in (True,) if values else (False, True):
            with psycopg.connect(target15.dsn()) as owner:
                desk.meanwhile = owner.rollback
                if within:
                    run(client, "BEGIN")
                    run(client, "SET LOCAL work_mem = '8MB'")
                    run(client, "INSERT INTO p.customers VALUES (77)")
                owner.execute("LOCK TABLE p.orders")
                assert run(client, text, *values).rowcount == (0 if within and not values else 10)
            preview = desk.preview
            assert preview["affected_rows"] is desk.requests[-1]["bound"] is preview["estimated_rows"] is None
            if values:  # its Parse waits for the lock, as at a server
                assert preview["notes"] == ["What would change is not known: the target was busy with what was sent before."]
            else:
                assert "a lock was not free within half a second (SQLSTATE 55P03)" in preview["notes"][0]
                assert preview["notes"][-1] == "How many rows would change is not known."
                assert [one["name"] for one in preview["triggers"]] == ["noting", "unlinking"], "no lock is needed for these"
            assert client.info.transaction_status == (IN_BLOCK if within else IDLE)
        for name, setting in {"work_mem": "8MB", "statement_timeout": "0", "lock_timeout": "0", "transaction_read_only": "off"}.items():
            assert run(client, f"SHOW {name}").fetchall() == [(setting,)]
        run(client, "COMMIT")
    assert target15.sql("SELECT count(*) FROM p.customers WHERE id = 77") == [(1,)]


def test_counting_has_its_time_and_the_transaction_goes_on(gateway: Gateway, desk: Desk, target15: Target) -> None:
    desk.yes = False
    with connected(gateway) as client:
        run(client, "BEGIN")
        run(client, "INSERT INTO p.customers VALUES (78)")
        run(client, "SAVEPOINT mine")
        with pytest.raises(psycopg.Error) as refused:
            run(client, "DELETE FROM p.orders WHERE (SELECT count(*) FROM generate_series(1, 1000000000)) = id")
        assert refused.value.sqlstate == "TG002"
        run(client, "ROLLBACK TO mine")
        run(client, "COMMIT")
    assert "it took longer than 2 seconds (SQLSTATE 57014)" in desk.preview["notes"][0]
    assert desk.preview["affected_rows"] is None
    assert desk.preview["plan"]
    assert target15.sql("SELECT count(*) FROM p.customers WHERE id = 78") == [(1,)]


@pytest.mark.parametrize("within", [False, True], ids=["alone", "in a transaction"])
def test_a_cancel_ends_the_preview(gateway: Gateway, desk: Desk, target15: Target, within: bool) -> None:
    with connected(gateway) as client, psycopg.connect(target15.dsn()) as owner:
        if within:
            run(client, "BEGIN")
        owner.execute("LOCK TABLE p.orders")
        with cancelling(client, target15, "p.orders"), pytest.raises(psycopg.errors.QueryCanceled):
            run(client, TEN)
        owner.rollback()
        assert client.info.transaction_status == (FAILED if within else IDLE)
        run(client, "ROLLBACK")
        assert run(client, "SELECT count(*) FROM p.orders").fetchall() == [(100,)]
    assert desk.published() == []


# -- the bound


@pytest.mark.parametrize("within", [False, True], ids=["alone", "in a transaction"])
@pytest.mark.parametrize("values", [(), (1,)], ids=["simple", "extended"])
@pytest.mark.parametrize("returning", ["", " RETURNING id, note"])
def test_more_rows_than_approved_are_undone(
    gateway: Gateway, desk: Desk, target15: Target, within: bool, values: tuple[int, ...], returning: str
) -> None:
    text = f"DELETE FROM p.orders WHERE customer = {'%s' if values else '1'}{returning} /* {within} */"
    desk.meanwhile = lambda: target15.sql("INSERT INTO p.orders VALUES (999, 1)")
    with connected(gateway) as client:
        if within:
            run(client, "BEGIN")
            run(client, "SAVEPOINT mine")
        with pytest.raises(psycopg.Error, match="more than the 10 rows that were approved") as refused:
            run(client, text, *values)
        assert refused.value.sqlstate == "TG002"
        assert client.info.transaction_status == (FAILED if within else IDLE)
        if within:
            run(client, "ROLLBACK TO mine")
            run(client, "COMMIT")
        assert run(client, "SELECT count(*) FROM p.orders WHERE customer = 1").fetchall() == [(11,)]
    done = outcome(gateway, text.replace("%s", "$1"))
    assert (done["outcome"], done["sqlstate"]) == ("refused", "TG002")
    assert done["rows"] == (10 if returning else 11)
    assert target15.sql("SELECT count(*) FROM p.lines WHERE order_id IS NULL") == [(0,)]


@pytest.mark.parametrize("values", [(), (1,)], ids=["simple", "extended"])
def test_as_many_rows_as_were_approved(gateway: Gateway, desk: Desk, target15: Target, values: tuple[int, ...]) -> None:
    text = "DELETE FROM p.orders WHERE customer = " + ("%s" if values else "1") + " RETURNING id"
    desk.meanwhile = lambda: target15.sql("DELETE FROM p.orders WHERE id = 10")
    with connected(gateway) as client:
        cursor = run(client, text, *values)
        assert len(cursor.fetchall()) == 9
        assert cursor.statusmessage == "DELETE 9"
        assert client.info.transaction_status == IDLE
    assert orders(target15) == 90
    done = outcome(gateway, text.replace("%s", "$1"))
    assert (done["outcome"], done["tag"], done["rows"]) == ("ok", "DELETE 9", 9)


@pytest.mark.parametrize("values", [(), (7,)], ids=["simple", "extended"])
def test_what_fails_at_its_end_has_not_happened(gateway: Gateway, desk: Desk, target15: Target, values: tuple[int, ...]) -> None:
    """A deferred constraint is looked at when the transaction ends, behind the command tag."""
    target15.sql("INSERT INTO p.kept VALUES (1, 7)")
    text = "DELETE FROM p.orders WHERE id = " + ("%s" if values else "7")
    with connected(gateway) as client:
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            run(client, text, *values)
        assert client.info.transaction_status == IDLE
        assert run(client, "SELECT count(*) FROM p.orders WHERE id = 7").fetchall() == [(1,)]
    assert desk.requests[-1]["bound"] == 1


def test_an_error_of_a_bounded_statement_is_its_own(gateway: Gateway, desk: Desk, target15: Target) -> None:
    desk.meanwhile = lambda: target15.sql("UPDATE p.orders SET id = 900 WHERE id = 9")
    text = "UPDATE p.orders SET id = id + 1 WHERE id IN (8, 9) OR id = 900"
    with connected(gateway) as client:
        with pytest.raises(psycopg.errors.UniqueViolation):
            run(client, "UPDATE p.orders SET id = 20 WHERE id = 8")
        assert client.info.transaction_status == IDLE
        assert run(client, text).rowcount == 2
    assert outcome(gateway, "UPDATE p.orders SET id = 20 WHERE id = 8")["outcome"] == "error"


def test_pipelines(gateway: Gateway, desk: Desk, target15: Target) -> None:
    with connected(gateway) as client:
        with client.pipeline():  # of what stands between statements of one batch nothing can be asked
            first = client.execute("SELECT %s::int", (1,))
            gone = client.execute("DELETE FROM p.orders WHERE customer = %s RETURNING id", (1,))
            last = client.execute("SELECT count(*) FROM p.orders WHERE id > %s", (0,))
            assert first.fetchall() == [(1,)]
            assert len(gone.fetchall()) == 10
            assert last.fetchall() == [(90,)]
        assert "pipeline" in desk.preview["notes"][0]
        desk.meanwhile = lambda: target15.sql("INSERT INTO p.orders VALUES (998, 2)")
        with pytest.raises(psycopg.Error, match="10 rows that were approved"):
            _in_one_batch(client, "DELETE FROM p.orders WHERE customer = %s", "DELETE FROM p.lines WHERE id = %s")
        assert run(client, "SELECT count(*) FROM p.orders").fetchall() == [(91,)]


def _in_one_batch(client: psycopg.Connection[Any], *queries: str) -> None:
    with client.pipeline():
        for query in queries:
            client.execute(sql.SQL(query), (2,))
