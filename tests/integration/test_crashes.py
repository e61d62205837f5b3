"""Kill any process at any moment: what the target has executed is in the audit, and nobody else notices."""

import contextlib
import threading

import psycopg

from tests.conftest import Target
from tests.integration import world
from tests.integration.harness import Agent, Stack, eventually, kill

INSERT = "INSERT INTO crm.journal VALUES (%s, 'crash')"


class Traffic:
    """An agent that writes one numbered row after the other and connects again when it is cut off."""

    def __init__(self, agent: Agent, first: int) -> None:
        self.agent, self.next = agent, first
        self.stopping = threading.Event()
        self.confirmed: list[int] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self.stopping.is_set():
            with contextlib.suppress(psycopg.Error), self.agent.connect() as connection:
                while not self.stopping.is_set():
                    self.next += 1
                    connection.execute(INSERT, (self.next,))
                    self.confirmed.append(self.next)

    def wait_for_more(self, rows: int = 20) -> None:
        wanted = len(self.confirmed) + rows
        eventually(lambda: len(self.confirmed) >= wanted, "the agent's writes go on", 60)


def written(target: Target) -> set[int]:
    return {int(str(row[0])) for row in target.sql("SELECT id FROM crm.journal WHERE note = 'crash'", dbname="crm")}


def recorded(stack: Stack) -> set[int]:
    found = set()
    for entry in stack.entries("statement.intended", subject="writer"):
        if "crm.journal" in entry["sql"] and entry["parameters"]:
            found.add(int(entry["parameters"][0]))
    return found


def test_a_killed_worker_process_loses_no_recorded_statement(own_stack: Stack, target15: Target) -> None:
    own_stack.start()
    agent = Agent(own_stack, "writer", world.KEYS["writer"], "crm15")
    with Traffic(agent, 1_000_000) as traffic:
        for _ in range(2):
            traffic.wait_for_more()
            for process in own_stack.worker_processes():
                kill(process)
        traffic.wait_for_more()
    rows = written(target15)
    assert rows >= set(traffic.confirmed), "what was confirmed to the agent is there"
    eventually(lambda: recorded(own_stack) >= rows, "every executed statement is in the audit", 60)
    assert not own_stack.sql("SELECT alarm FROM audit_boot WHERE alarm <> ''")


def test_every_part_of_the_stack_may_die(own_stack: Stack, target15: Target) -> None:
    """One after the other, with traffic; each is started again, and nothing executed is missing from the audit."""
    own_stack.start()
    agent = Agent(own_stack, "writer", world.KEYS["writer"], "crm15")
    with Traffic(agent, 2_000_000) as traffic:
        for name in ("control-database", "broker", "web", "celery", "beat", "worker"):
            traffic.wait_for_more(5)
            victim = own_stack.child(name)
            kill(victim)

            def running_again(name: str = name, dead: int = victim.pid) -> bool:
                try:
                    return own_stack.child(name).pid != dead
                except LookupError:
                    return False

            eventually(running_again, f"{name} is started again", 30)
        traffic.wait_for_more()
    rows = {row for row in written(target15) if row > 2_000_000}
    assert rows >= set(traffic.confirmed)
    eventually(lambda: recorded(own_stack) >= rows, "every executed statement is in the audit", 60)


def test_what_a_stopped_control_plane_could_not_take_arrives_after_the_next_start(own_stack: Stack, target15: Target) -> None:
    own_stack.start()
    agent = Agent(own_stack, "writer", world.KEYS["writer"], "crm15")
    with Traffic(agent, 3_000_000) as traffic:
        traffic.wait_for_more()
    own_stack.stop()
    own_stack.start()
    rows = {row for row in written(target15) if row > 3_000_000}
    eventually(lambda: recorded(own_stack) >= rows, "every executed statement is in the audit", 60)
