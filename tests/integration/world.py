"""What the integration tests are about: two targets, a small company, agents of several kinds, and the policy for them."""

from typing import Any

from tests.conftest import Target

AGENT_ROLE = "tidegate_agent"
KEYS = {name: f"tgk_{name}_{'0123456789abcdef' * 2}" for name in ("reader", "writer", "free")}
PEOPLE = {"petra": {"password": "petra's own password", "email": "petra@example.com"}}  # at the identity provider
SSN = {number: f"900-55-{number:04d}" for number in range(1, 101)}
SCHEMA = """
CREATE SCHEMA crm;
CREATE TABLE crm.customers (
    id integer PRIMARY KEY, name text NOT NULL, email text NOT NULL, ssn char(11) NOT NULL, card varchar(19) NOT NULL, born date NOT NULL
);
INSERT INTO crm.customers
    SELECT n, 'Customer ' || n, 'customer.' || n || '@example.com', '900-55-' || lpad(n::text, 4, '0'),
           '4000 0000 0000 ' || lpad(n::text, 4, '0'), date '1980-06-15' + n
    FROM generate_series(1, 100) n;
CREATE TABLE crm.orders (id integer PRIMARY KEY, customer_id integer NOT NULL REFERENCES crm.customers, total numeric(10, 2) NOT NULL);
INSERT INTO crm.orders SELECT n, 1 + n % 100, n * 1.25 FROM generate_series(1, 1000) n;
CREATE TABLE crm.journal (id bigint PRIMARY KEY, note text);
CREATE TABLE crm.notes (id bigint PRIMARY KEY, note text);
"""


def furnish(target: Target, password: str) -> None:
    """Make the role, the company's database and an empty one for benchmarks."""
    target.sql(f"CREATE ROLE {AGENT_ROLE} LOGIN PASSWORD '{password}'")
    for dbname in ("crm", "bench"):
        target.sql(f"CREATE DATABASE {dbname} OWNER {AGENT_ROLE}")
    target.sql(f"SET ROLE {AGENT_ROLE}; {SCHEMA}", dbname="crm")


def policy(targets: list[Target], issuer: str) -> dict[str, Any]:
    """One connection of each kind per target: `crm15` under rules and masks, `bench15` with everything allowed."""
    guarded = [f"crm{target.version}" for target in targets]
    return {
        "version": 1,
        "oidc": [{"name": "corp", "issuer": issuer, "audience": "tidegate", "groups_claim": "groups", "algorithms": ["RS256"]}],
        "groups": ["agents", "owners", "keepers", "token-readers"],
        "users": [
            {"username": "dana", "email": "dana@example.com", "groups": ["owners"], "roles": ["approver"]},
            {"username": "otto", "email": "otto@example.com"},
            {"username": "petra", "email": "petra@example.com", "groups": ["keepers"], "roles": ["approver"],
             "oidc": {"issuer": issuer, "subject": "petra"}},
        ],
        "subjects": [
            *({"name": name, "kind": "agent", "owner": "otto", "groups": ["agents"], "key_env": f"KEY_{name.upper()}"} for name in KEYS),
            {"name": "token-bot", "kind": "agent", "owner": "otto", "oidc": {"issuer": "corp", "subject": "token-bot"}},
        ],
        "connections": [connection(target, kind) for target in targets for kind in ("crm", "bench")],
        "grants": [
            {"to": {"groups": ["agents", "token-readers"]}, "connections": guarded,
             "actions": ["select", "explain", "set", "transaction", "prepare"]},
            {"to": {"subjects": ["writer"]}, "connections": guarded, "actions": ["insert", "update", "delete"]},
        ],
        "masking": [
            {"name": "ssn", "connections": guarded, "columns": ["*.*.ssn"], "method": "redact"},
            {"name": "email", "connections": guarded, "columns": ["crm.customers.email"], "method": "email"},
            {"name": "card", "connections": guarded, "columns": ["crm.customers.card"], "method": "card"},
            {"name": "born", "connections": guarded, "columns": ["crm.customers.born"], "method": "year"},
        ],
        "rules": [
            {"name": "no ddl", "when": {"actions": ["drop", "truncate", "alter", "grant"], "connections": guarded}, "then": "deny",
             "message": "Schema changes go through migrations."},
            {"name": "no unbounded writes", "when": {"actions": ["update", "delete"], "without_where": True, "connections": guarded},
             "then": "deny"},
            {"name": "deletes need a yes", "when": {"actions": ["delete"], "relations": ["crm.*"], "connections": guarded},
             "then": {"approve": "owners"}},
            {"name": "new customers need a passkey",
             "when": {"actions": ["insert"], "relations": ["crm.customers"], "connections": guarded}, "then": {"approve": "keepers"}},
            {"name": "updates need a ticket", "when": {"actions": ["update"], "relations": ["crm.*"], "connections": guarded},
             "then": {"approve": "tickets"}},
            {"name": "notes need a ticket", "when": {"relations": ["crm.notes"], "connections": guarded}, "then": {"approve": "tickets"}},
        ],
        "workflows": [
            {"name": "owners", "approvers": {"groups": ["owners"]}, "quorum": 1, "expires": "15m", "hold": "wait", "max_wait": "10m"},
            {"name": "keepers", "approvers": {"groups": ["keepers"]}, "expires": "15m", "hold": "wait", "step_up": "passkey"},
            {"name": "tickets", "approvers": {"groups": ["owners"]}, "quorum": 1, "expires": "15m", "hold": "ticket", "shapes": True},
        ],
    }  # fmt: skip


def connection(target: Target, kind: str) -> dict[str, Any]:
    return {
        "name": f"{kind}{target.version}",
        "host": target.host,
        "port": target.port,
        "dbname": kind,
        "user": AGENT_ROLE,
        "password_env": "TARGET_PASSWORD",
        "tls": {"mode": "require" if target.version == 15 else "disable"},
        **({"default": "allow", "unanalyzable": "allow", "opaque_functions": "allow"} if kind == "bench" else {"default": "deny"}),
    }


def secrets(password: str) -> dict[str, str]:
    """The environment variables that the policy names."""
    return {f"KEY_{name.upper()}": key for name, key in KEYS.items()} | {"TARGET_PASSWORD": password}
