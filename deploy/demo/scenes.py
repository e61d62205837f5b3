"""What the demo's agents do, in order. Each scene checks itself against the target, asked past the gateway."""

import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from deploy.demo.approver import Approver, Mailbox, link_in, text_of
from deploy.demo.story import Story, table


@dataclass
class Stage:
    """What the scenes play on."""

    story: Story
    agent: str  # libpq string through the gateway, over TLS, with an API key
    agent_plain: str  # the same without TLS: a psql built without OpenSSL
    target: str  # libpq string of the target's superuser, past the gateway
    psql: Path
    mailbox: Mailbox
    token: Callable[[], str]  # a fresh OIDC access token
    oidc: Callable[[str], str]  # token -> libpq string through the gateway

    def ask(self, dsn: str, who: str, statement: str, parameters: tuple[object, ...] | None = None) -> list[tuple[object, ...]]:
        """Run one statement as an agent would, with binary results, and print both directions."""
        self.story.sent(who, statement + (f"   with {parameters}" if parameters else ""))
        with psycopg.connect(dsn, autocommit=True) as connection, connection.cursor(binary=True) as cursor:
            cursor.execute(statement, parameters)
            if cursor.description is None:
                self.story.came_back(cursor.statusmessage or "")
                return []
            rows = cursor.fetchall()
            self.story.came_back(table([column.name for column in cursor.description], rows))
            return rows

    def refused(self, statement: str, sqlstate: str) -> None:
        self.story.sent("agent", statement)
        try:
            with psycopg.connect(self.agent, autocommit=True) as connection:
                connection.execute(statement)
        except psycopg.Error as error:
            diagnosis = error.diag
            self.story.came_back(f"ERROR {diagnosis.sqlstate}: {diagnosis.message_primary}")
            if diagnosis.message_hint:
                self.story.came_back(f"HINT: {diagnosis.message_hint}")
            self.story.check(f"refused with SQLSTATE {sqlstate}", diagnosis.sqlstate == sqlstate)
        else:
            self.story.check("refused", False)

    def truth(self, statement: str) -> list[tuple[object, ...]]:
        """What the target itself says, past the gateway."""
        with psycopg.connect(self.target, autocommit=True) as connection:
            return connection.execute(statement).fetchall()


def masked_reads(stage: Stage) -> None:
    stage.story.step("The agent reads customers (psycopg, binary results, over TLS): the sensitive columns come back masked")
    statement = "SELECT id, name, email, ssn, card_number, born FROM crm.customers WHERE id = ANY(%s) ORDER BY id"
    rows = stage.ask(stage.agent, "agent", statement, ([7, 8, 9],))
    real = stage.truth("SELECT id, name, email, ssn, card_number, born FROM crm.customers WHERE id IN (7, 8, 9) ORDER BY id")
    stage.story.check("ids and names are real", [row[:2] for row in rows] == [row[:2] for row in real])
    hidden = all(ours != theirs for row, truth in zip(rows, real, strict=True) for ours, theirs in zip(row[2:5], truth[2:5], strict=True))
    stage.story.check("no e-mail address, social security number or card number is real", hidden)
    last_four = all(str(row[4])[-4:] == str(truth[4])[-4:] for row, truth in zip(rows, real, strict=True))
    stage.story.check("the last four digits of the cards are", last_four)


def computing_on_masked(stage: Stage) -> None:
    stage.story.step("The agent computes on masked columns: it computes on the masked values")
    real = {str(row[0]) for row in stage.truth("SELECT ssn FROM crm.customers WHERE id < 4")}
    prefixes = {ssn[:3] for ssn in real}
    rows = stage.ask(stage.agent, "agent", "SELECT substr(ssn, 1, 3) AS start FROM crm.customers WHERE id < 4")
    stage.story.check("substr() shows nothing of it", not {str(row[0]) for row in rows} & prefixes)
    rows = stage.ask(stage.agent, "agent", "SELECT count(*) AS found FROM crm.customers WHERE ssn LIKE '9%'")
    stage.story.check("LIKE cannot guess it (10,000 rows would match)", rows == [(0,)])
    rows = stage.ask(stage.agent, "agent", "SELECT row_to_json(c) AS everything FROM crm.customers c WHERE id = 1")
    stage.story.check("row_to_json() shows nothing of it", not any(ssn in str(rows) for ssn in real))


def useful_work(stage: Stage) -> None:
    stage.story.step("Joins and aggregates give the right answers (psql this time)")
    statement = (
        "SELECT c.city, count(*) AS orders, sum(o.total) AS revenue FROM crm.orders o JOIN crm.customers c ON c.id = o.customer_id "
        "WHERE o.status <> 'returned' GROUP BY c.city ORDER BY revenue DESC LIMIT 3"
    )
    stage.story.sent("psql", statement)
    command = [str(stage.psql), stage.agent_plain, "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-At", "-c", statement]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    stage.story.came_back(result.stdout or result.stderr)
    real = "\n".join("|".join(map(str, row)) for row in stage.truth(statement))
    stage.story.check("the same as without the gateway", result.stdout.strip() == real)


def signing_in_with_a_token(stage: Stage) -> None:
    stage.story.step("Another agent signs in with an OpenID Connect access token instead of a key")
    token = stage.token()
    stage.story.note(f"client-credentials token from the identity provider: {token[:24]}… ({len(token)} characters)")
    rows = stage.ask(stage.oidc(token), "report-bot", "SELECT count(*) AS customers, min(email) AS one_of_them FROM crm.customers")
    stage.story.check("it reads, masked like everybody", rows[0][0] == 10_000 and str(rows[0][1]).startswith("***@"))


def blocked(stage: Stage) -> None:
    stage.story.step("What is forbidden is refused before PostgreSQL sees it")
    stage.refused("DROP TABLE crm.customers", "42501")
    stage.refused("DELETE FROM crm.orders", "42501")
    stage.story.check("nothing is lost", stage.truth("SELECT count(*) FROM crm.orders") == [(50_000,)])


def held(stage: Stage) -> None:
    stage.story.step("A DELETE of one order waits for a human")
    outcome: list[str] = []

    def delete() -> None:
        with psycopg.connect(stage.agent, autocommit=True) as connection:
            connection.add_notice_handler(lambda notice: outcome.append(f"NOTICE: {notice.message_primary}\nHINT: {notice.message_hint}"))
            try:
                outcome.append(connection.execute("DELETE FROM crm.orders WHERE id = %s", (7,)).statusmessage or "")
            except psycopg.Error as error:
                outcome.append(f"ERROR {error.sqlstate}: {error}")

    stage.story.sent("agent", "DELETE FROM crm.orders WHERE id = %s   with (7,)")
    agent = threading.Thread(target=delete)
    agent.start()
    message = stage.mailbox.next("dana@example.com")
    stage.story.note("an e-mail arrives:")
    stage.story.came_back(f"To: {message['To']}\nSubject: {message['Subject']}\n{text_of(message)}")
    stage.story.check("the order is still there", stage.truth("SELECT count(*) FROM crm.orders WHERE id = 7") == [(1,)])
    with Approver(link_in(message)) as approver:
        stage.story.sent("dana ", f"GET {approver.link[:60]}…")
        page = approver.look()
        stage.story.came_back(page)
        stage.story.check("the page shows the statement and its parameter", "DELETE FROM crm.orders WHERE id = $1" in page and "7" in page)
        stage.story.sent("dana ", "POST approve, “fine, it was a test order”")
        approver.answer("approve", "fine, it was a test order")
    agent.join(60)
    stage.story.came_back("\n".join(outcome))
    stage.story.check("the agent's DELETE returned", bool(outcome) and outcome[-1] == "DELETE 1")
    stage.story.check("the order is gone", stage.truth("SELECT count(*) FROM crm.orders WHERE id = 7") == [(0,)])


SCENES: tuple[Callable[[Stage], None], ...] = (masked_reads, computing_on_masked, useful_work, signing_in_with_a_token, blocked, held)
