"""Every change of the configuration: in one transaction with its audit record and the bundle that follows from it.

A change and the bundle that carries it become visible in the same commit, so no crash can leave a change that no worker
hears of. Publishing takes an advisory lock: bundles are compiled one after the other, each seeing all that was committed
before it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import connection as database
from django.db import transaction
from django.db.models import Model
from django.utils import timezone

from controlplane import api_keys, crypto, validators
from controlplane.models import ApiKey, BundleVersion, Connection, Credential, Subject, User
from controlplane.snapshots import snapshot
from proxy.policy.bundle import Bundle, BundleError
from proxy.policy.sealing import seal
from proxy.policy.signature import sign_bundle

Actor = User | str
M = TypeVar("M", bound=Model)

_TARGET = ("host", "port", "dbname", "user")
_PUBLISH_LOCK = 0x7469646501  # any constant; the same in every process


def actor_name(actor: Actor) -> str:
    """How the audit names who did it: the user name, or what the command line says of itself."""
    return actor if isinstance(actor, str) else actor.get_username()


def save(instance: M, *, actor: Actor, links: Mapping[str, Collection[Any]] | None = None, publish: bool = True) -> M:
    """Create or change ``instance`` and what it is linked to (many-to-many, by field name).

    ``publish=False`` leaves the bundle to the caller, who makes several changes in one transaction. Raises
    ValidationError with what is wrong by field, and then nothing is changed.
    """
    with transaction.atomic():
        before = stored_snapshot(instance)
        instance.full_clean()
        check_links(instance, links or {})
        instance.save()
        for name, items in (links or {}).items():
            getattr(instance, name).set(items)
        record_change(instance, before=before, actor=actor, publish=publish)
    return instance


def remove(instance: Model, *, actor: Actor, publish: bool = True) -> None:
    """Delete ``instance``. Raises ValidationError or ProtectedError while something still names it."""
    with transaction.atomic():
        before = snapshot(instance) | _named_in(instance)
        _check_not_named(instance, str(instance))
        name = str(instance)
        instance.delete()
        _record("remove", instance, name, actor, before, None)
        if publish:
            publish_bundle(actor=actor)


def record_change(instance: Model, *, before: dict[str, Any] | None, actor: Actor, publish: bool = True) -> None:
    """Audit a change that was just saved and publish; the caller is inside the transaction of the change.

    ``before`` is None for a new object. Nothing changed: nothing recorded.
    """
    if isinstance(instance, Connection):
        ensure_credential(instance)
    after = snapshot(instance)
    if before == after:
        return
    renamed_from = before.get("name") if before else None
    if renamed_from and renamed_from != after.get("name"):
        _check_not_named(instance, renamed_from)
    if isinstance(instance, Connection) and before and any(before.get(name) != after.get(name) for name in _TARGET):
        instance.catalogs.all().delete()  # it told what another server contains
    _record("create" if before is None else "change", instance, str(instance), actor, before, after)
    if publish:
        publish_bundle(actor=actor)


def stored_snapshot(instance: Model) -> dict[str, Any] | None:
    """What the database holds of ``instance`` now; None for a new one. Locks the row until the transaction ends."""
    if instance._state.adding or instance.pk is None:
        return None
    stored = type(instance)._default_manager.select_for_update(of=("self",)).filter(pk=instance.pk).first()
    return snapshot(stored) if stored else None


def _named_in(instance: Model) -> dict[str, list[str]]:
    """What names ``instance`` and goes on without it: the people of a removed group lose it, and nothing else would tell whom."""
    named = {}
    for relation in instance._meta.related_objects:
        if relation.many_to_many and (items := getattr(instance, relation.get_accessor_name()).all()):
            named[f"{relation.name} (of others)"] = sorted(map(str, items))
    return named


def check_links(instance: Model, links: Mapping[str, Collection[Any]]) -> None:
    """What a model says of the objects it is linked to (its ``clean_links``)."""
    check = getattr(instance, "clean_links", None)
    if check is not None:
        found = {relation.name: links.get(relation.name) for relation in instance._meta.many_to_many}
        check({name: _present(instance, name) if items is None else items for name, items in found.items()})


def _present(instance: Model, name: str) -> Collection[Any]:
    return [] if instance.pk is None or instance._state.adding else list(getattr(instance, name).all())


def ensure_credential(connection: Connection) -> None:
    """A connection is not without a credential: its hash key is made here, its password is empty until it is set."""
    defaults = {"password": crypto.encrypt(b""), "hash_key": crypto.encrypt(secrets.token_bytes(32))}
    Credential.objects.get_or_create(connection=connection, defaults=defaults)


def _check_not_named(instance: Model, name: str) -> None:
    """Refuse to remove or rename what a statement rule names: the rule would silently stop to match."""
    from policies.services import rules_naming  # the policy imports this module's models

    kind = {Subject: "subjects", Group: "groups", Connection: "connections"}.get(type(instance))
    named_by = rules_naming(kind, name) if kind else []
    if named_by:
        raise ValidationError(
            f"The rule{'s' if len(named_by) > 1 else ''} {', '.join(repr(rule) for rule in named_by)} still name '{name}'."
        )


def _record(action: str, instance: Model, name: str, actor: Actor, before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
    from audit.services import record  # the ledger's services use this app's models

    if before is not None and after is not None:
        changed = {field for field in before.keys() | after.keys() if before.get(field) != after.get(field)}
        before = {field: before.get(field) for field in changed}
        after = {field: after.get(field) for field in changed}
    fields = {"model": instance._meta.label, "object": name, "action": action, "actor": actor_name(actor)}
    record("admin.changed", {**fields, "before": before, "after": after})


# --- secrets ------------------------------------------------------------------------------------------------------------


def set_password(connection: Connection, *, password: str, actor: Actor, publish: bool = True) -> bool:
    """Keep the target's password, encrypted. False when it is the one already kept."""
    if "\0" in password:
        raise ValidationError({"password": "PostgreSQL passwords hold no NUL character."})
    with transaction.atomic():
        changed = _keep(connection, "password", password, actor)
        if changed and publish:
            publish_bundle(actor=actor)
    return changed


def keep_secrets(
    connection: Connection, *, password: str | None = None, client_key: str | None = None, actor: Actor, publish: bool = True
) -> None:
    """Keep what a connection signs in with, encrypted; None stays as it is, but no key stays without its certificate.

    Raises ValidationError, also where the connection's client certificate and its key do not fit together.
    """
    with transaction.atomic():
        if password is not None:
            set_password(connection, password=password, actor=actor, publish=False)
        _keep(connection, "client_key", _client_key(connection, client_key), actor)
        if publish:
            publish_bundle(actor=actor)


def kept_secret(credential: Credential, name: str) -> str:
    """``password`` or ``client_key``; empty where none is kept."""
    stored = getattr(credential, name)
    return crypto.decrypt(stored).decode() if stored else ""


def _client_key(connection: Connection, given: str | None) -> str:
    """The key to keep: the one given, else the one kept, if it is that of the client certificate."""
    if not connection.tls_client_cert:
        if given:
            raise ValidationError({"tls_client_key": "A client certificate's key is given together with the certificate."})
        return ""
    key = kept_secret(Credential.objects.get(connection=connection), "client_key") if given is None else given.strip()
    if not key:
        raise ValidationError({"tls_client_key": "The client certificate needs its private key."})
    try:
        validators.key_of_certificate(key, connection.tls_client_cert)
    except ValidationError as problem:
        raise ValidationError({"tls_client_key": problem.messages}) from None
    return key


def _keep(connection: Connection, name: str, secret: str, actor: Actor) -> bool:
    """Keep a secret as a new version of the credential. False when it is the one already kept."""
    credential = Credential.objects.select_for_update().get(connection=connection)
    if kept_secret(credential, name) == secret:
        return False
    before = {"credential_version": credential.version}
    setattr(credential, name, crypto.encrypt(secret.encode()) if secret else b"")
    credential.version += 1
    credential.save()
    _record("change", connection, str(connection), actor, before, {"credential_version": credential.version})
    return True


def connection_secrets() -> dict[str, Any]:
    """What is sealed to each worker: passwords and keys by connection (docs/contracts.md §1)."""
    return {
        "connections": {
            item.connection.name: {
                "password": kept_secret(item, "password"),
                "client_key": kept_secret(item, "client_key") or None,
                "hash_key": base64.b64encode(crypto.decrypt(item.hash_key)).decode(),
            }
            for item in Credential.objects.select_related("connection")
        }
    }


def set_user_password(user: User, *, password: str, actor: Actor) -> None:
    """Give a person a new password."""
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        record_password_change(user, actor=actor)


def record_password_change(user: User, *, actor: Actor) -> None:
    """Audit that a person's password changed, inside the transaction of the change; never what it is."""
    _record("change", user, str(user), actor, {"password": "hidden"}, {"password": "hidden, changed"})


def create_key(
    subject: Subject, *, actor: Actor, expires_at: datetime | None = None, key: str | None = None, publish: bool = True
) -> tuple[ApiKey, str]:
    """A new API key, and its text, which nobody can see again. ``key``: one that the admin chose."""
    problem = api_keys.problem_with(key) if key is not None else ""
    if problem:
        raise ValidationError({"key": problem})
    if expires_at is not None and expires_at <= timezone.now():
        raise ValidationError({"expires_at": "The key would already have expired."})
    text = api_keys.generate() if key is None else key
    verifier, (prefix, last_four) = api_keys.verifier(text, bytes(subject.scram_salt)), api_keys.recognisable(text)
    with transaction.atomic():
        created = ApiKey.objects.create(
            subject=subject,
            key_id=f"k{secrets.token_hex(6)}",
            prefix=prefix,
            last_four=last_four,
            stored_key=verifier.stored_key,
            server_key=verifier.server_key,
            created_by=actor_name(actor),
            expires_at=expires_at,
        )
        record_change(created, before=None, actor=actor, publish=publish)
    return created, text


def key_in_use(subject: Subject, key: str) -> bool:
    """Whether ``key`` is one of the subject's usable keys."""
    known = api_keys.verifier(key, bytes(subject.scram_salt)).stored_key
    return any(secrets.compare_digest(bytes(item.stored_key), known) for item in subject.keys.usable(timezone.now()))


def replace_keys(subject: Subject, *, actor: Actor, expires_at: datetime | None, others_end_in: int) -> tuple[ApiKey, str]:
    """A new API key, with which the subject's other keys end after so many hours, or with 0 at once."""
    with transaction.atomic():
        created, text = create_key(subject, actor=actor, expires_at=expires_at, publish=False)
        _end_other_keys(created, hours=others_end_in, actor=actor)
        publish_bundle(actor=actor)
    return created, text


def revoke_key(key: ApiKey, *, actor: Actor, publish: bool = True) -> None:
    """End a key; sessions that it opened end with the bundle that follows. A second time changes nothing."""
    with transaction.atomic():
        before = stored_snapshot(key)
        key.refresh_from_db()
        if key.revoked_at is None:
            key.revoked_at = timezone.now()
            key.save(update_fields=["revoked_at"])
        record_change(key, before=before, actor=actor, publish=publish)


def _end_other_keys(key: ApiKey, *, hours: int, actor: Actor) -> None:
    """One that ends before that stays as it is."""
    end = timezone.now() + timedelta(hours=hours)
    for other in key.subject.keys.usable(timezone.now()).exclude(pk=key.pk):
        if hours == 0:
            revoke_key(other, actor=actor, publish=False)
        elif other.expires_at is None or other.expires_at > end:
            before = stored_snapshot(other)
            other.expires_at = end
            other.save(update_fields=["expires_at"])
            record_change(other, before=before, actor=actor, publish=False)


# --- the bundle ---------------------------------------------------------------------------------------------------------


def publish_bundle(*, actor: Actor) -> BundleVersion:
    """Compile, check and publish what the tables say now; the newest version again where nothing that decides changed.

    Raises ValidationError where the core would not accept the result: then the change that led to it must not commit.
    """
    from policies import compiler  # the compiler reads this app's models

    with transaction.atomic():
        with database.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_PUBLISH_LOCK])
        content = compiler.compile_content(timezone.now())
        newest = BundleVersion.objects.first()
        if newest is not None and compiler.content_of(newest.payload) == content:
            return newest
        problem = compiler.impossible(content)
        if problem:
            raise ValidationError(problem)
        serial = newest.serial + 1 if newest else 1
        payload = compiler.canonical(content, serial)
        _check_loadable(payload)
        digest = hashlib.sha256(payload.encode()).hexdigest()
        return BundleVersion.objects.create(serial=serial, digest=digest, payload=payload, created_by=actor_name(actor))


def _check_loadable(payload: str) -> None:
    try:
        Bundle.load(payload.encode(), connection_secrets())
    except BundleError as problem:
        raise ValidationError(f"No worker could use the policy that this would make: {problem}") from None


def sealed_bundle(version: BundleVersion, sealing_key: str) -> dict[str, str]:
    """A published bundle for one worker: signed, with the secrets sealed to its key (base64 X25519)."""
    signed = sign_bundle(version.payload.encode(), crypto.bundle_key_id(), crypto.signing_key())
    opened = json.dumps(connection_secrets(), sort_keys=True, separators=(",", ":")).encode()
    return {**signed, "secrets": seal(opened, base64.b64decode(sealing_key), X25519PrivateKey.generate())}
