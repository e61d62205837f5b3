"""From node types to actions."""

from __future__ import annotations

from proxy.sql.classify import ACTION_OF, action_of
from proxy.sql.facts import ACTIONS


def test_every_action_is_a_word_of_the_policy() -> None:
    assert set(ACTION_OF.values()) <= ACTIONS


def test_a_type_that_is_not_listed_is_unanalyzable_whatever_its_name() -> None:
    for kind in ("FutureStmt", "CreateFutureStmt", "AlterFutureStmt", "DropFutureStmt", ""):
        assert action_of(kind, {}) == "unanalyzable"


def test_every_statement_of_the_grammar_is_listed() -> None:
    """libpg_query's own list of nodes: what ends in Stmt and can stand at the top."""
    from postgast import pg_query_pb2

    inner = {"PLAssignStmt", "ReturnStmt", "RawStmt", "SetOperationStmt", "PlannedStmt", "ReplicaIdentityStmt"}
    kinds = [field.message_type.name for field in pg_query_pb2.Node.DESCRIPTOR.fields if field.message_type is not None]
    statements = {kind for kind in kinds if kind.endswith("Stmt")} - inner
    assert statements
    assert {kind for kind in statements if action_of(kind, {}) == "unanalyzable"} == set()
