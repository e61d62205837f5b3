"""What a statement is: from PostgreSQL's node types to the actions of the policy. A type that is not here is unanalyzable."""

from __future__ import annotations

from proxy.sql.parser import Node

ACTION_OF = {
    "SelectStmt": "select", "InsertStmt": "insert", "UpdateStmt": "update", "DeleteStmt": "delete", "MergeStmt": "merge",
    "TruncateStmt": "truncate", "CopyStmt": "copy_to", "CallStmt": "call", "DoStmt": "do", "ExplainStmt": "explain",
    "DeclareCursorStmt": "cursor", "FetchStmt": "cursor", "ClosePortalStmt": "cursor",
    "PrepareStmt": "prepare", "ExecuteStmt": "prepare", "DeallocateStmt": "prepare",
    "VariableSetStmt": "set", "VariableShowStmt": "set", "ConstraintsSetStmt": "set", "DiscardStmt": "set",
    "TransactionStmt": "transaction", "ListenStmt": "listen", "UnlistenStmt": "listen", "NotifyStmt": "listen", "LockStmt": "lock",
    "VacuumStmt": "maintenance", "ClusterStmt": "maintenance", "ReindexStmt": "maintenance", "CheckPointStmt": "maintenance",
    "RefreshMatViewStmt": "maintenance", "LoadStmt": "maintenance",
    "GrantStmt": "grant", "GrantRoleStmt": "grant", "AlterDefaultPrivilegesStmt": "grant",
    "DropStmt": "drop", "DropdbStmt": "drop", "DropRoleStmt": "drop", "DropTableSpaceStmt": "drop", "DropUserMappingStmt": "drop",
    "DropSubscriptionStmt": "drop", "DropOwnedStmt": "drop",
    "CreateTableAsStmt": "create", "ViewStmt": "create", "RuleStmt": "create", "IndexStmt": "create", "DefineStmt": "create",
    "CompositeTypeStmt": "create", "ImportForeignSchemaStmt": "create",
    "RenameStmt": "alter", "CommentStmt": "alter", "SecLabelStmt": "alter", "ReassignOwnedStmt": "alter",
}  # fmt: skip

_PREFIXES = (("Create", "create"), ("Alter", "alter"))

# Node types that begin with "Create" or "Alter", so that a type of a later grammar does not slip in by its name.
_NAMED = frozenset({
    "CreateAmStmt", "CreateCastStmt", "CreateConversionStmt", "CreateDomainStmt", "CreateEnumStmt", "CreateEventTrigStmt",
    "CreateExtensionStmt", "CreateFdwStmt", "CreateForeignServerStmt", "CreateForeignTableStmt", "CreateFunctionStmt", "CreateOpClassStmt",
    "CreateOpFamilyStmt", "CreatePLangStmt", "CreatePolicyStmt", "CreatePublicationStmt", "CreateRangeStmt", "CreateRoleStmt",
    "CreateSchemaStmt", "CreateSeqStmt", "CreateStatsStmt", "CreateStmt", "CreateSubscriptionStmt", "CreateTableSpaceStmt",
    "CreateTransformStmt", "CreateTrigStmt", "CreateUserMappingStmt", "CreatedbStmt",
    "AlterCollationStmt", "AlterDatabaseRefreshCollStmt", "AlterDatabaseSetStmt", "AlterDatabaseStmt", "AlterDomainStmt", "AlterEnumStmt",
    "AlterEventTrigStmt", "AlterExtensionContentsStmt", "AlterExtensionStmt", "AlterFdwStmt", "AlterForeignServerStmt", "AlterFunctionStmt",
    "AlterObjectDependsStmt", "AlterObjectSchemaStmt", "AlterOpFamilyStmt", "AlterOperatorStmt", "AlterOwnerStmt", "AlterPolicyStmt",
    "AlterPublicationStmt", "AlterRoleSetStmt", "AlterRoleStmt", "AlterSeqStmt", "AlterStatsStmt", "AlterSubscriptionStmt",
    "AlterSystemStmt", "AlterTSConfigurationStmt", "AlterTSDictionaryStmt", "AlterTableMoveAllStmt", "AlterTableSpaceOptionsStmt",
    "AlterTableStmt", "AlterTypeStmt", "AlterUserMappingStmt",
})  # fmt: skip

TRANSACTION = {
    "TRANS_STMT_BEGIN": "begin", "TRANS_STMT_START": "begin", "TRANS_STMT_COMMIT": "commit", "TRANS_STMT_ROLLBACK": "rollback",
    "TRANS_STMT_SAVEPOINT": "savepoint", "TRANS_STMT_RELEASE": "release", "TRANS_STMT_ROLLBACK_TO": "rollback_to",
    "TRANS_STMT_PREPARE": "prepare", "TRANS_STMT_COMMIT_PREPARED": "commit_prepared", "TRANS_STMT_ROLLBACK_PREPARED": "rollback_prepared",
}  # fmt: skip

# Settings by which names or rights change their meaning.
_NAMING = frozenset({"search_path", "role", "session_authorization"})
# Settings by which the same bytes become another statement. SET NAMES sets the first.
_READING = frozenset({"client_encoding", "standard_conforming_strings"})


def action_of(kind: str, node: Node) -> str:
    """The action of a top-level statement's node, or ``unanalyzable``."""
    if kind == "CopyStmt":
        return _copy(node)
    if kind in _NAMED:
        return next(action for prefix, action in _PREFIXES if kind.startswith(prefix))
    return ACTION_OF.get(kind, "unanalyzable")


def _copy(node: Node) -> str:
    if node.get("is_program"):
        return "copy_program"
    if node.get("filename"):
        return "copy_file"
    return "copy_from" if node.get("is_from") else "copy_to"


def changes_names(kind: str, node: Node) -> bool:
    """Whether the same name may mean another object afterwards: path, role, schemas and temporary objects.

    The end of a transaction counts: what was set inside it may be given back.
    """
    if kind == "VariableSetStmt":
        return node.get("kind") == "VAR_RESET_ALL" or str(node.get("name", "")).lower() in _NAMING
    if kind == "TransactionStmt":
        return TRANSACTION.get(node.get("kind", "")) in ("commit", "rollback", "rollback_to")
    if kind == "DiscardStmt":
        return node.get("target", "") in ("", "DISCARD_ALL", "DISCARD_TEMP")
    return kind in _RENAMING or _is_temporary(node)


def changes_reading(kind: str, node: Node) -> bool:
    """Whether the server may read later texts in another way: another encoding, or backslashes in string constants."""
    if kind == "VariableSetStmt":
        return node.get("kind") == "VAR_RESET_ALL" or str(node.get("name", "")).lower() in _READING
    return kind in ("DoStmt", "CallStmt") or (kind == "DiscardStmt" and node.get("target", "") in ("", "DISCARD_ALL"))


_RENAMING = frozenset({
    "CreateSchemaStmt", "DropStmt", "DropOwnedStmt", "RenameStmt", "AlterObjectSchemaStmt", "CreateExtensionStmt", "CallStmt", "DoStmt",
})  # fmt: skip


def _is_temporary(node: Node) -> bool:
    into = node.get("into") or node.get("intoClause") or {}
    candidates = (node.get("relation"), node.get("view"), node.get("sequence"), into.get("rel"))
    return any(isinstance(item, dict) and (item.get("relpersistence") == "t" or item.get("schemaname") == "pg_temp") for item in candidates)
