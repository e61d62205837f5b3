"""The JSON of a bundle (docs/contracts.md §1) as frozen structures; a field that is not named here is an error."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal

from msgspec import Meta, Struct

LONGEST = 256  # characters of a name, and of a pattern for names
Name = Annotated[str, Meta(min_length=1, max_length=LONGEST)]
Address = Annotated[str, Meta(min_length=1, max_length=500)]
Names = tuple[Name, ...]
SomeNames = Annotated[tuple[Name, ...], Meta(min_length=1)]  # an empty condition would never match: surely a mistake
Positive = Annotated[int, Meta(ge=1)]
Clock = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    """Base of everything in a bundle."""


class Issuer(Part, frozen=True):
    name: Name
    issuer: Address
    audience: Name
    algorithms: SomeNames
    jwks_uri: str | None = None
    subject_claim: Name = "sub"
    groups_claim: str | None = None


class ScramKey(Part, frozen=True):
    """One API key as a SCRAM-SHA-256 verifier (RFC 5803)."""

    id: Name
    stored_key: Annotated[bytes, Meta(min_length=32, max_length=32)]
    server_key: Annotated[bytes, Meta(min_length=32, max_length=32)]
    expires: int | None = None

    def __repr__(self) -> str:
        return f"ScramKey(id={self.id!r}, expires={self.expires!r})"


class Scram(Part, frozen=True):
    salt: Annotated[bytes, Meta(min_length=8)]
    iterations: Annotated[int, Meta(ge=4096)]
    keys: tuple[ScramKey, ...]

    def live_keys(self, now: float) -> tuple[ScramKey, ...]:
        """Those that have not expired."""
        return tuple(key for key in self.keys if key.expires is None or now < key.expires)


class TokenIdentity(Part, frozen=True):
    issuer: Name
    subject: Name


class CertificateIdentity(Part, frozen=True):
    """By which of its names a client certificate is the subject's: exactly one is given."""

    uri: Name | None = None
    common_name: Name | None = None

    def __post_init__(self) -> None:
        if (self.uri is None) is (self.common_name is None):
            raise ValueError("needs either uri or common_name")

    def is_named(self, common_name: str, uris: Collection[str]) -> bool:
        return self.common_name == common_name if self.uri is None else self.uri in uris


class Subject(Part, frozen=True):
    name: Name
    kind: Literal["agent", "human", "service"]
    owner: str | None = None
    groups: Names = ()
    scram: Scram | None = None
    oidc: TokenIdentity | None = None
    certificate: CertificateIdentity | None = None


class Tls(Part, frozen=True):
    mode: Literal["disable", "require", "verify-ca", "verify-full"]
    ca: str | None = None
    client_cert: str | None = None


class ApproveBy(Part, frozen=True):
    approve: Name


Setting = Literal["deny", "allow"] | ApproveBy


class Connection(Part, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=256, pattern="^[^/]+$")]
    host: Name
    port: Annotated[int, Meta(ge=1, le=65535)]
    dbname: Name
    user: Name
    credential_version: int
    tls: Tls
    databases: Names = ()
    default: Literal["deny", "allow"] = "deny"
    unanalyzable: Setting = "deny"
    opaque_functions: Setting = "deny"
    trusted_functions: Names = ()
    derived_use: Literal["scan", "deny"] = "scan"
    detectors: Literal["off", "alert", "mask"] = "off"
    row_evidence: Literal["count", "keys", "digest"] = "count"
    max_rows: Positive | None = None
    statement_timeout_ms: Positive | None = None
    max_sessions: Positive | None = None
    max_sessions_per_subject: Positive | None = None
    idle_timeout: Positive | None = None  # seconds


class Grant(Part, frozen=True, rename={"valid_from": "from"}):
    connections: Names
    actions: Names
    subjects: Names = ()
    groups: Names = ()
    valid_from: int | None = None
    until: int | None = None


class Clearance(Part, frozen=True):
    subjects: Names = ()
    groups: Names = ()
    until: int | None = None


class Masking(Part, frozen=True):
    name: Name
    columns: SomeNames
    method: dict[str, object]
    connections: Names | None = None  # null or empty: all
    lookups: Literal["deny", "allow"] = "deny"
    cleared: tuple[Clearance, ...] = ()


class EstimatedRows(Part, frozen=True):
    over: Annotated[int, Meta(ge=0)]


class Between(Part, frozen=True, rename={"start": "from", "end": "to"}):
    start: Clock
    end: Clock
    tz: Name = "UTC"


class When(Part, frozen=True, rename={"client_from": "from", "client_not_from": "not_from"}):
    """The conditions of a rule; all that are given must be met."""

    actions: SomeNames | None = None
    relations: SomeNames | None = None
    columns: SomeNames | None = None
    functions: SomeNames | None = None
    subjects: SomeNames | None = None
    groups: SomeNames | None = None
    connections: SomeNames | None = None
    without_where: bool | None = None
    matches: str | None = None
    client_from: SomeNames | None = None
    client_not_from: SomeNames | None = None
    estimated_rows: EstimatedRows | None = None
    touches_masked: bool | None = None
    multiple_statements: bool | None = None
    between: Between | None = None


class Rule(Part, frozen=True):
    name: Name
    when: When
    then: Literal["deny", "approve", "allow"]
    workflow: str | None = None
    message: str | None = None
    shadow: bool = False


class Workflow(Part, frozen=True):
    name: Name
    quorum: Positive
    expires: Positive
    hold: Literal["wait", "ticket"]
    max_wait: Annotated[int, Meta(ge=0)]
    has_approvers: bool


class Payload(Part, frozen=True):
    format: Literal["tidegate-bundle/1"]
    serial: Annotated[int, Meta(ge=0)]
    max_staleness: Positive
    groups: Names
    issuers: tuple[Issuer, ...]
    subjects: tuple[Subject, ...]
    connections: tuple[Connection, ...]
    grants: tuple[Grant, ...]
    masking: tuple[Masking, ...]
    rules: tuple[Rule, ...]
    workflows: tuple[Workflow, ...]


class ConnectionSecret(Part, frozen=True):
    """What a worker needs to open a connection and to key its pseudonyms. Never printed."""

    password: str
    hash_key: Annotated[bytes, Meta(min_length=32, max_length=32)]
    client_key: str | None = None

    def __repr__(self) -> str:
        return "ConnectionSecret(<hidden>)"


class Secrets(Part, frozen=True):
    connections: dict[str, ConnectionSecret] = {}
