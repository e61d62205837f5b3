"""What a statement is and touches: the values that the analysis returns and the engine decides on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.policy.masks import Mask
from proxy.wire.copy_data import CopyFormat

ACTIONS = frozenset(
    "select insert update delete merge truncate create alter drop grant copy_from copy_to copy_program copy_file call do "
    "function explain cursor prepare set transaction listen lock maintenance unanalyzable".split()
)


@dataclass(frozen=True, slots=True)
class CopyOut:
    """What COPY … TO STDOUT sends. Its options are literals of the text, so two texts that differ in them are two."""

    form: CopyFormat
    header: bool = False  # its first line holds names
    encoding: str = ""  # as the statement says it; empty: the client's
    types: tuple[int, ...] = ()  # of each column: the type's oid if it is a column of the catalog as it is, else 0
    problem: str = ""  # why ``form`` is not known


@dataclass(frozen=True, slots=True)
class Facts:
    """One top-level statement.

    Names are resolved through the catalog and spelt ``schema.name`` in lower level form (no quotes; a name that is not
    in the catalog keeps what the statement said, with the schema left out where none was given).
    """

    action: str  # the statement's own action
    actions: frozenset[str]  # with those of everything inside it (CTEs, EXPLAIN ANALYZE x, PREPARE … AS x, COPY (x))
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    columns: frozenset[str] = frozenset()  # schema.table.column, stars expanded
    functions: frozenset[str] = frozenset()
    opaque_functions: frozenset[str] = frozenset()  # those whose effect cannot be known
    without_where: bool = False  # an UPDATE or DELETE anywhere in it that has no WHERE
    names_change: bool = False  # may change search_path, role or temp objects: names must be probed again afterwards
    reading_changes: bool = False  # may change client_encoding or standard_conforming_strings: how later texts are read
    runs_prepared: bool = False  # EXECUTE NAME anywhere in it: what it runs is not in this text
    schema_changes: bool = False  # DDL: the catalog must be read again afterwards
    planned: bool = False  # the planner can say how many rows it returns and changes
    start: int = 0  # byte offset in the query text
    transaction: str = ""  # begin | commit | rollback | savepoint | release | rollback_to | prepare
    normalised: str = ""  # constants replaced by $n
    problem: str = ""  # why it is ``unanalyzable`` (then action is "unanalyzable")
    copy_out: CopyOut | None = None  # COPY … TO STDOUT


@dataclass(frozen=True, slots=True)
class MaskPlan:
    """How the masked columns of a query text are kept from the client.

    ``kind``: ``none`` (touches none), ``result`` (forward as it is; cells are masked by their origin), ``scan`` (forward
    ``sql``, in which relations were replaced by masked sub-selects), ``refuse`` (neither is possible: ``reason``).
    """

    kind: str = "none"
    sql: str = ""
    masked: tuple[str, ...] = ()  # schema.table.column of every masked column that it touches
    reason: str = ""
    sanitise_errors: bool = False  # free text of errors and notices may hold a masked value
    written: tuple[tuple[int, Mask], ...] = ()  # parameters that become values of masked columns, by number from 1


@dataclass(frozen=True, slots=True)
class SyntaxProblem:
    """PostgreSQL's own message; ``position`` in characters from 1."""

    message: str
    position: int


@dataclass(frozen=True, slots=True)
class Count:
    """How the rows that a statement changes are counted without running it: by a query, or they are known, or why not.

    ``assigned``: the columns that get new values, schema.table.column; None: it is not known which.
    """

    sql: str = ""
    parameters: tuple[int, ...] = ()  # the numbers of those in it
    rows: int | None = None
    problem: str = ""
    assigned: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Analysis:
    """Facts and masking of one query text (one simple Query or one Parse)."""

    statements: tuple[Facts, ...] = ()
    plan: MaskPlan = field(default_factory=MaskPlan)
    syntax: SyntaxProblem | None = None
    unknown_relations: frozenset[str] = frozenset()  # not in the catalog: refresh once, then they are as they are
    unknown_function: str = ""  # called by its only statement, and not in the catalog: likewise
    problem: str = ""  # the text as a whole is unanalyzable (too long, too deep, NUL, analyser dead)
    planned: str = ""  # what the planner is asked about, where that is not the text that is sent
    count: Count | None = None  # where it was asked for
    constants_matter: bool = True  # else this is the analysis of every text of the same shape (proxy.sql.shape)

    @property
    def incomplete(self) -> bool:
        """Whether it names something that the catalog does not hold."""
        return bool(self.unknown_relations or self.unknown_function)


@dataclass(frozen=True, slots=True)
class AnalysisRequest:
    """Everything that an analysis depends on; equal requests give equal analyses.

    ``catalog_digest`` names a catalog that the analysis process holds (the worker sends it when it is new). ``masks``
    maps (relation oid, attribute number) to the mask in force for this subject; ``mask_digest`` stands for it in keys.
    """

    sql: str
    catalog_digest: str
    search_path: tuple[str, ...]  # as current_schemas(true) says
    masks: Mapping[tuple[int, int], Mask]
    mask_digest: str
    trusted_functions: frozenset[str] = frozenset()
    derived_use: str = "scan"
    counting: bool = False  # how many rows it changes is to be counted

    @property
    def key(self) -> tuple[object, ...]:
        known = (self.sql, self.catalog_digest, self.search_path, self.mask_digest, self.trusted_functions, self.derived_use)
        return (*known, self.counting) if self.counting else known
