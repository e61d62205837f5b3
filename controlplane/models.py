"""Identities and targets: people, subjects, keys, issuers, connections, grants, workers and the bundles they get.

Groups are Django's own (``django.contrib.auth.models.Group``): one kind of group for people, subjects and workflows.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Collection, Mapping
from typing import Any

from django.contrib.auth.models import AbstractUser, Group
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinLengthValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from controlplane import validators
from controlplane.querysets import ApiKeys, EnrolmentTokens, Grants, Subjects, Workers
from proxy.sql.facts import ACTIONS

__all__ = [
    "AccessToken",
    "ApiKey",
    "BundleVersion",
    "CatalogSnapshot",
    "Connection",
    "Credential",
    "EnrolmentToken",
    "Grant",
    "Group",
    "IdempotentAnswer",
    "OidcIssuer",
    "Passkey",
    "SignInAttempt",
    "Subject",
    "User",
    "Worker",
    "WorkerBoot",
]

ROLES = ("admin", "approver", "auditor")
OUTCOMES = [("deny", "deny"), ("allow", "allow"), ("approve", "ask for approval")]


class User(AbstractUser):
    """A person who signs in to the web pages. The role admin is Django's superuser; the others are flags of their own."""

    is_approver = models.BooleanField(
        "approver", default=False, help_text="May decide requests of the workflows that name this person or one of the groups."
    )
    is_auditor = models.BooleanField(
        "auditor", default=False, help_text="May read the audit, make exports, and read (not change) the policy."
    )
    oidc_issuer = models.CharField(
        "OIDC issuer",
        max_length=500,
        blank=True,
        validators=[validators.issuer_url],
        help_text="The `iss` of the identity provider at which this person signs in.",
    )
    oidc_subject = models.CharField(
        "OIDC subject",
        max_length=255,
        blank=True,
        validators=[validators.printable],
        help_text="The `sub` by which the provider knows this person. The two together are the identity; names and addresses are not.",
    )

    class Meta(AbstractUser.Meta):
        ordering = ("username",)
        constraints = [
            models.UniqueConstraint(
                fields=["oidc_issuer", "oidc_subject"],
                name="one_person_per_identity",
                condition=~models.Q(oidc_subject=""),
                violation_error_message="Another account already has this identity.",
            ),
        ]

    @property
    def roles(self) -> list[str]:
        held = {"admin": self.is_superuser, "approver": self.is_approver, "auditor": self.is_auditor}
        return [role for role in ROLES if held[role]]

    def has_role(self, role: str) -> bool:
        return self.is_active and role in self.roles

    def set_roles(self, roles: list[str]) -> None:
        self.is_superuser, self.is_approver, self.is_auditor = ("admin" in roles, "approver" in roles, "auditor" in roles)

    def clean(self) -> None:
        super().clean()
        if self.is_approver and not self.email:
            raise ValidationError({"email": "An approver needs an e-mail address: the links go there."})
        if bool(self.oidc_issuer) != bool(self.oidc_subject):
            raise ValidationError({"oidc_subject": "Give the OIDC issuer and the OIDC subject together, or neither."})

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.is_staff = self.is_superuser  # the admin site is the admins' and nobody else's
        super().save(*args, **kwargs)


class Passkey(models.Model):
    """A person's WebAuthn credential: its public half, by which an approval can be proved (passkeys.py)."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="passkeys")
    name = models.CharField(max_length=60, validators=[validators.printable], help_text="Whatever tells it from the others.")
    credential_id = models.BinaryField(max_length=1023, unique=True, editable=False)
    public_key = models.BinaryField(editable=False)
    sign_count = models.PositiveBigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ("created_at",)
        constraints = [
            models.UniqueConstraint(
                fields=["user", "name"], name="one_passkey_of_a_name", violation_error_message="You have a passkey of this name already."
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"


class AccessToken(models.Model):
    """A person's token for the REST interface, kept as a digest; it may do what both its scopes and the person's roles allow."""

    # What each is good for, besides the person's own roles.
    SCOPES = {
        "read": "read what the person may read, except the audit",
        "approve": "approve and reject requests",
        "admin": "change the configuration",
        "audit": "read the audit and make exports",
    }

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="access_tokens")
    name = models.CharField(max_length=60, validators=[validators.printable], help_text="What uses it.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    last_four = models.CharField(max_length=4, editable=False)
    scopes = ArrayField(models.CharField(max_length=10, choices=[(scope, scope) for scope in SCOPES]))
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ("created_at",)

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"

    @property
    def expired(self) -> bool:
        return self.expires_at <= timezone.now()


class IdempotentAnswer(models.Model):
    """What a write with an ``Idempotency-Key`` was answered (idempotency.py). Encrypted: some answers show a secret once."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    request = models.CharField(max_length=64)  # digest of method, path and body
    status = models.PositiveSmallIntegerField(default=0)
    body = models.BinaryField(default=bytes)
    at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="one_answer_for_a_key")]

    def __str__(self) -> str:
        return f"{self.key} of {self.user}"


class OidcIssuer(models.Model):
    """An identity provider whose access tokens agents may present."""

    ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")

    name = models.CharField(max_length=63, unique=True, validators=[validators.name])
    issuer = models.CharField(
        max_length=500, unique=True, validators=[validators.issuer_url], help_text="The `iss` of its tokens, letter by letter."
    )
    audience = models.CharField(
        max_length=200, validators=[validators.printable], help_text="A token is refused unless its `aud` holds this."
    )
    jwks_uri = models.CharField(
        "JWKS address",
        max_length=500,
        blank=True,
        validators=[validators.issuer_url],
        help_text="Empty: found by the issuer's discovery document.",
    )
    subject_claim = models.CharField(
        max_length=100, default="sub", validators=[validators.printable], help_text="The claim that names the subject."
    )
    groups_claim = models.CharField(
        max_length=100,
        blank=True,
        validators=[validators.printable],
        help_text="The claim that lists groups; empty: groups come from Tidegate only.",
    )
    algorithms = ArrayField(
        models.CharField(max_length=10),
        default=list,
        help_text="Signature algorithms to accept, e.g. RS256, ES256; never `none` or one with a shared secret.",
    )

    class Meta:
        ordering = ("name",)
        verbose_name = "OIDC issuer"

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        unknown = sorted(set(self.algorithms) - set(self.ALGORITHMS))
        if unknown or not self.algorithms:
            raise ValidationError(
                {"algorithms": f"Name at least one of {', '.join(self.ALGORITHMS)}" + (f"; not {', '.join(unknown)}." if unknown else ".")}
            )


class Subject(models.Model):
    """Who may connect to a proxy worker: an agent, a human or a service."""

    KINDS = [("agent", "agent"), ("human", "human"), ("service", "service")]

    name = models.CharField(max_length=63, unique=True, validators=[validators.subject_name], help_text="Agents give it as user name.")
    kind = models.CharField(max_length=10, choices=KINDS, default="agent")
    owner = models.ForeignKey(
        User,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="owned_subjects",
        help_text="The person who answers for it; never approves its requests.",
    )
    groups = models.ManyToManyField(Group, blank=True, related_name="subjects", help_text="Grants and rules name these.")
    oidc_issuer = models.ForeignKey(
        OidcIssuer, null=True, blank=True, on_delete=models.PROTECT, related_name="subjects", verbose_name="OIDC issuer"
    )
    oidc_subject = models.CharField(
        "OIDC subject",
        max_length=200,
        blank=True,
        validators=[validators.printable],
        help_text="The value of the issuer's subject claim in its tokens.",
    )
    certificate_uri = models.CharField(
        "certificate URI",
        max_length=250,
        blank=True,
        validators=[validators.uri],
        help_text="A URI that the certificates hold as subjectAltName, e.g. spiffe://example.org/agents/report-bot.",
    )
    certificate_common_name = models.CharField(
        max_length=200, blank=True, validators=[validators.printable], help_text="Or the one common name (CN) of the certificates' subject."
    )
    enabled = models.BooleanField(default=True, help_text="Switched off, its sessions are refused at once.")
    scram_salt = models.BinaryField(max_length=16, editable=False, default=bytes)

    objects = Subjects.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(
                fields=["oidc_issuer", "oidc_subject"],
                name="one_subject_per_token",
                condition=models.Q(oidc_issuer__isnull=False),
                violation_error_message="Another subject already has this issuer and OIDC subject.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def certificate(self) -> dict[str, str] | None:
        """By which of its names a certificate is this subject's, as policy file and bundle write it."""
        names = {"uri": self.certificate_uri, "common_name": self.certificate_common_name}
        return {kind: name for kind, name in names.items() if name} or None

    def clean(self) -> None:
        if bool(self.oidc_issuer_id) != bool(self.oidc_subject):
            raise ValidationError({"oidc_subject": "Give the OIDC issuer and the OIDC subject together, or neither."})
        if self.certificate_uri and self.certificate_common_name:
            raise ValidationError({"certificate_common_name": "Certificates are known by their URI or by their common name, not by both."})

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self.scram_salt:
            # One salt for all keys of a subject: SCRAM sends it before the proof says which key is used.
            self.scram_salt = secrets.token_bytes(16)
        super().save(*args, **kwargs)


class ApiKey(models.Model):
    """An API key, kept only as what SCRAM-SHA-256 needs to check it (RFC 5802): the key itself is shown once."""

    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="keys")
    key_id = models.CharField(max_length=16, unique=True, editable=False)
    prefix = models.CharField(max_length=12, editable=False)
    last_four = models.CharField(max_length=4, editable=False)
    stored_key = models.BinaryField(max_length=32, editable=False)
    server_key = models.BinaryField(max_length=32, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.CharField(max_length=150, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ApiKeys.as_manager()

    class Meta:
        ordering = ("-created_at",)
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.prefix}…{self.last_four}"

    @property
    def state(self) -> str:
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at and self.expires_at <= timezone.now() else "active"


_EACH_HOST = "Each worker host counts its own sessions, over all its processes; those hear of each other twice a second. Empty: no limit."


class Connection(models.Model):
    """A named target database. Agents ask for it as ``dbname=<name>``."""

    TLS_MODES = [("disable", "disable"), ("require", "require"), ("verify-ca", "verify-ca"), ("verify-full", "verify-full")]
    DEFAULTS = [("deny", "deny"), ("allow", "allow")]

    name = models.CharField(
        max_length=63, unique=True, validators=[validators.connection_name], help_text="Agents give it as database name."
    )
    host = models.CharField(max_length=253, validators=[validators.host])
    port = models.PositiveIntegerField(default=5432, validators=[MinValueValidator(1), MaxValueValidator(65535)])
    dbname = models.CharField(
        "database", max_length=63, validators=[validators.printable], help_text="The database's own name on the target."
    )
    databases = ArrayField(
        models.CharField(max_length=63, validators=[validators.database_pattern]),
        default=list,
        blank=True,
        help_text="Other databases of that server, asked for as dbname=NAME/database, separated by commas; * and ? are wildcards.",
    )
    user = models.CharField(
        max_length=63, validators=[validators.printable], help_text="The role that Tidegate connects as. Never a superuser."
    )
    tls_mode = models.CharField("TLS", max_length=12, choices=TLS_MODES, default="verify-full")
    tls_ca = models.TextField(
        "TLS authority",
        blank=True,
        validators=[validators.certificate_bundle],
        help_text="PEM certificates; empty: the worker's system store.",
    )
    tls_client_cert = models.TextField(
        "client certificate",
        blank=True,
        validators=[validators.certificate_bundle],
        help_text="PEM; what Tidegate shows a target that asks for a certificate. Authorities in between may follow it.",
    )
    default = models.CharField(max_length=5, choices=DEFAULTS, default="deny", help_text="What happens where no grant or rule speaks.")
    unanalyzable = models.CharField(max_length=7, choices=OUTCOMES, default="deny", help_text="Statements that cannot be understood.")
    unanalyzable_workflow = models.ForeignKey(
        "approvals.Workflow",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Who is asked, where approval is needed.",
    )
    opaque_functions = models.CharField(max_length=7, choices=OUTCOMES, default="deny", help_text="Functions whose effect cannot be known.")
    opaque_workflow = models.ForeignKey(
        "approvals.Workflow",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Who is asked, where approval is needed.",
    )
    trusted_functions = ArrayField(
        models.CharField(max_length=130, validators=[validators.function_name]),
        default=list,
        blank=True,
        help_text="Functions taken as harmless, as schema.name, separated by commas.",
    )
    derived_use = models.CharField(
        max_length=4,
        choices=[("scan", "see masked values"), ("deny", "deny")],
        default="scan",
        help_text="What happens where a masked column is used other than as plain output.",
    )
    detectors = models.CharField(
        max_length=5,
        choices=[("off", "off"), ("alert", "alert"), ("mask", "mask")],
        default="off",
        help_text="A second net: what is done about values that look like personal data or secrets, in columns whose origin nobody knows.",
    )
    row_evidence = models.CharField(
        max_length=6,
        choices=[("count", "count"), ("keys", "keys"), ("digest", "digest")],
        default="count",
        help_text="Which evidence of the rows returned the audit keeps.",
    )
    max_rows = models.PositiveBigIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    statement_timeout_ms = models.PositiveIntegerField(
        "statement timeout (ms)", null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(2**31 - 1)]
    )
    idle_timeout = models.PositiveIntegerField(
        "idle timeout (s)",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="A session ends when it has asked for nothing for so many seconds, in a transaction too. Empty: never.",
    )
    max_sessions = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)], help_text=_EACH_HOST)
    max_sessions_per_subject = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text=f"Of one subject on this connection. {_EACH_HOST}"
    )

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        for field, workflow in (("unanalyzable", "unanalyzable_workflow"), ("opaque_functions", "opaque_workflow")):
            if (getattr(self, field) == "approve") != bool(getattr(self, f"{workflow}_id")):
                raise ValidationError({workflow: "Name a workflow exactly where approval is asked for."})
        if self.tls_client_cert and self.tls_mode == "disable":
            raise ValidationError({"tls_client_cert": "Without TLS no certificate is shown."})


class Credential(models.Model):
    """The target's password, the key of its client certificate and that of ``hash`` masks, encrypted with a key that is kept elsewhere."""

    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, related_name="credential")
    version = models.PositiveIntegerField(default=1)
    password = models.BinaryField(editable=False)
    client_key = models.BinaryField(editable=False, default=b"")
    hash_key = models.BinaryField(editable=False)
    changed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.connection}, version {self.version}"


class CatalogSnapshot(models.Model):
    """What a database of a connection contains: names, types and code, as a worker read them last (catalogs.py)."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="catalogs")
    database = models.CharField(max_length=63)
    digest = models.CharField(max_length=64)
    content = models.BinaryField(editable=False)
    worker = models.CharField(max_length=63, help_text="Which worker host told it last.")
    read_at = models.DateTimeField(help_text="Since when it is like this.")
    confirmed_at = models.DateTimeField(help_text="When a worker last found it like this.")

    class Meta:
        ordering = ("connection__name", "database")
        constraints = [models.UniqueConstraint(fields=["connection", "database"], name="one_catalog_per_database")]

    def __str__(self) -> str:
        return f"{self.connection}/{self.database}"


def known_action(value: str) -> None:
    if value not in ACTIONS:
        raise ValidationError(f"'{value}' is no action; there are: {', '.join(sorted(ACTIONS))}.")


class Grant(models.Model):
    """Who may do what where, and from when until when."""

    subjects = models.ManyToManyField(Subject, blank=True, related_name="grants")
    groups = models.ManyToManyField(Group, blank=True, related_name="grants")
    connections = models.ManyToManyField(Connection, related_name="grants")
    actions = ArrayField(
        models.CharField(max_length=20, validators=[known_action]),
        validators=[MinLengthValidator(1, "Name at least one action.")],
        help_text="What it allows, e.g. select, insert.",
    )
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_until = models.DateTimeField(null=True, blank=True)

    objects = Grants.as_manager()

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"grant {self.pk}: {', '.join(self.actions)}"

    def clean(self) -> None:
        if self.valid_from and self.valid_until and self.valid_from >= self.valid_until:
            raise ValidationError({"valid_until": "The grant would end before it begins."})

    def clean_links(self, links: Mapping[str, Collection[Any]]) -> None:
        problems = {}
        if not links["subjects"] and not links["groups"]:
            problems["groups"] = "Grant it to at least one subject or group."
        if not links["connections"]:
            problems["connections"] = "Name at least one connection."
        if problems:
            raise ValidationError(problems)


class EnrolmentToken(models.Model):
    """A one-time token with which a worker host enrols; kept as a digest."""

    name = models.CharField(max_length=63, validators=[validators.name], help_text="What the token is for, e.g. the host's name.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.CharField(max_length=150, editable=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, editable=False)

    objects = EnrolmentTokens.as_manager()

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> str:
        if self.used_at:
            return "used"
        return "expired" if self.expires_at <= timezone.now() else "waiting"


class Worker(models.Model):
    """An enrolled host of proxy worker processes, known by its two public keys."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=63, validators=[validators.name])
    public_key = models.CharField(max_length=44, unique=True, editable=False)  # base64, Ed25519
    sealing_key = models.CharField(max_length=44, editable=False)  # base64, X25519
    enrolled_at = models.DateTimeField(default=timezone.now, editable=False)
    enrolled_with = models.ForeignKey(EnrolmentToken, null=True, editable=False, on_delete=models.SET_NULL, related_name="workers")
    revoked_at = models.DateTimeField(null=True, editable=False)

    objects = Workers.as_manager()

    class Meta:
        ordering = ("name", "enrolled_at")

    def __str__(self) -> str:
        return self.name

    # Django REST framework asks this of whatever authenticated.
    is_authenticated = True


class WorkerBoot(models.Model):
    """One worker process from start to end, as its heartbeats tell."""

    worker = models.ForeignKey(Worker, on_delete=models.CASCADE, related_name="boots")
    boot = models.UUIDField(unique=True)
    pid = models.PositiveIntegerField()
    version = models.CharField(max_length=40)
    bundle_digest = models.CharField(max_length=64, blank=True)
    sessions = models.PositiveIntegerField(default=0)
    spool_entries = models.PositiveBigIntegerField(default=0)
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ("-seen_at",)

    def __str__(self) -> str:
        return f"{self.worker} [{self.pid}]"


class BundleVersion(models.Model):
    """A compiled policy as published. ``serial`` only grows; the newest is in force."""

    serial = models.PositiveBigIntegerField(unique=True)
    digest = models.CharField(max_length=64, unique=True)
    payload = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.CharField(max_length=150)

    class Meta:
        ordering = ("-serial",)

    def __str__(self) -> str:
        return f"{self.serial} ({self.digest[:12]})"


class SignInAttempt(models.Model):
    """A failed sign-in of the last minutes (sign_in.py); ``account`` is what was typed, whether or not there is such a user."""

    account = models.CharField(max_length=150, db_index=True)
    address = models.CharField(max_length=45, db_index=True)
    at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return f"{self.account} from {self.address}"
