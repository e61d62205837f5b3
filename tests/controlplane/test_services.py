"""A change, its audit entry and the bundle that carries it are one."""

from __future__ import annotations

import base64
import json
import threading
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import connection as database
from django.db import connections, transaction
from django.utils import timezone

from audit.models import Entry
from controlplane import api_keys, crypto, services
from controlplane.models import ApiKey, BundleVersion, Connection, Credential, Grant, Subject, User
from policies.models import MaskingRule, StatementRule
from proxy.policy.bundle import Bundle
from proxy.policy.sealing import unseal
from proxy.policy.signature import verify_bundle
from tests.certificates import issued
from tests.controlplane.conftest import ACTOR

pytestmark = pytest.mark.django_db


def changes() -> list[dict]:
    """What the audit says was changed: public fields with the disclosed before and after."""
    found = []
    for entry in Entry.objects.filter(kind="admin.changed").order_by("seq"):
        disclosed = {name: value["value"] for name, value in json.loads(entry.disclosures).items()}
        found.append({**json.loads(entry.canonical)["fields"], **disclosed})
    return found


def newest() -> dict:
    return json.loads(BundleVersion.objects.first().payload)


def test_a_change_is_audited_and_published(bot: Subject) -> None:
    assert [subject["name"] for subject in newest()["subjects"]] == ["report-bot"]
    serial = newest()["serial"]
    bot.kind = "service"
    services.save(bot, actor=ACTOR)
    last = changes()[-1]
    assert (last["model"], last["object"], last["action"], last["actor"]) == ("controlplane.Subject", "report-bot", "change", ACTOR)
    assert (last["before"], last["after"]) == ({"kind": "agent"}, {"kind": "service"})
    assert newest()["serial"] == serial + 1
    services.remove(bot, actor=ACTOR)
    assert changes()[-1]["action"] == "remove"
    assert newest()["subjects"] == []


def test_saving_what_is_the_same_changes_nothing(bot: Subject, agents: Group) -> None:
    entries, serial = Entry.objects.count(), newest()["serial"]
    services.save(bot, actor=ACTOR, links={"groups": [agents]})
    assert (Entry.objects.count(), newest()["serial"]) == (entries, serial)


def test_links_belong_to_the_change(bot: Subject) -> None:
    services.save(bot, actor=ACTOR, links={"groups": []})
    assert (changes()[-1]["before"], changes()[-1]["after"]) == ({"groups": ["agents"]}, {"groups": []})
    assert newest()["subjects"][0]["groups"] == []


def test_a_removed_group_says_whom_it_was_taken_from(agents: Group, bot: Subject) -> None:
    dana = User.objects.create(username="dana")
    dana.groups.add(agents)
    services.remove(agents, actor=ACTOR)
    entry = Entry.objects.filter(kind="admin.changed").latest("id")
    before = json.loads(entry.disclosures)["before"]["value"]
    assert (before["user (of others)"], before["subjects (of others)"]) == (["dana"], ["report-bot"])


def test_what_is_refused_leaves_no_trace(crm: Connection) -> None:
    entries, serial = Entry.objects.count(), newest()["serial"]
    crm.port = 0
    with pytest.raises(ValidationError):
        services.save(crm, actor=ACTOR)
    with pytest.raises(ValidationError, match="at least one subject or group"):
        services.save(Grant(actions=["select"]), actor=ACTOR, links={"connections": [crm]})
    assert (Entry.objects.count(), newest()["serial"], Grant.objects.count()) == (entries, serial, 0)


def test_no_change_without_its_audit_entry(bot: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    def unwritable(*arguments: object) -> None:
        raise OSError("the ledger cannot be written")

    monkeypatch.setattr("audit.services.record", unwritable)
    bot.enabled = False
    with pytest.raises(OSError, match="ledger"), transaction.atomic():
        services.save(bot, actor=ACTOR)
    assert Subject.objects.get().enabled


def test_a_bundle_that_no_worker_could_load_is_not_published(bot: Subject) -> None:
    # Past every check of the models, as if the core had become stricter than they are.
    StatementRule.objects.create(name="odd", when={"nonsense": 1}, then="deny")
    bot.enabled = False
    with pytest.raises(ValidationError, match="No worker could use"):
        services.save(bot, actor=ACTOR)
    assert Subject.objects.get().enabled


def test_what_cannot_be_understood_does_not_pass_where_something_is_masked(crm: Connection) -> None:
    services.save(MaskingRule(name="m", columns=["a.b.c"], method={"name": "redact"}), actor=ACTOR)
    crm.unanalyzable = "allow"
    with pytest.raises(ValidationError, match="only without masking rules"):
        services.save(crm, actor=ACTOR)


def test_a_rule_keeps_what_it_names(bot: Subject, agents: Group) -> None:
    services.save(StatementRule(name="r", when={"groups": ["agents"], "subjects": ["report-bot"]}, then="deny"), actor=ACTOR)
    for named in (bot, agents):
        with pytest.raises(ValidationError, match=r"'r' still name"):
            services.remove(named, actor=ACTOR)
        named.name = "other"
        with pytest.raises(ValidationError, match=r"'r' still name"):
            services.save(named, actor=ACTOR)


def test_passwords_are_kept_encrypted_and_never_shown(crm: Connection) -> None:
    with database.cursor() as cursor:
        cursor.execute("SELECT password, hash_key FROM controlplane_credential")
        stored = b"".join(bytes(value) for value in cursor.fetchone())
    assert b"target-password" not in stored
    everything = json.dumps(changes()) + "".join(BundleVersion.objects.values_list("payload", flat=True))
    assert "target-password" not in everything
    assert services.connection_secrets()["connections"]["crm"]["password"] == "target-password"


def test_a_new_password_is_a_new_version(crm: Connection) -> None:
    version = newest()["connections"][0]["credential_version"]
    assert not services.set_password(crm, password="target-password", actor=ACTOR)
    assert newest()["connections"][0]["credential_version"] == version
    assert services.set_password(crm, password="another", actor=ACTOR)
    assert newest()["connections"][0]["credential_version"] == version + 1


def test_the_key_of_a_client_certificate_is_kept_encrypted_and_never_shown(crm: Connection) -> None:
    own = issued("tidegate")
    version = newest()["connections"][0]["credential_version"]
    crm.tls_mode, crm.tls_client_cert = "require", own.certificate
    services.save(crm, actor=ACTOR)
    services.keep_secrets(crm, client_key=own.key + "\n", actor=ACTOR)
    sent = services.connection_secrets()["connections"]["crm"]
    assert (sent["client_key"], sent["password"]) == (own.key.strip(), "target-password")
    assert newest()["connections"][0]["tls"] == {"mode": "require", "ca": None, "client_cert": own.certificate}
    assert newest()["connections"][0]["credential_version"] == version + 1
    secret = own.key.splitlines()[1]
    with database.cursor() as cursor:
        cursor.execute("SELECT client_key FROM controlplane_credential")
        assert secret.encode() not in bytes(cursor.fetchone()[0])
    everything = json.dumps(changes()) + "".join(BundleVersion.objects.values_list("payload", flat=True))
    assert own.certificate.splitlines()[1] in everything
    assert secret not in everything


def test_a_client_certificate_and_its_key_come_and_go_together(crm: Connection) -> None:
    own, renewed = issued("tidegate"), issued("tidegate")

    def keep(certificate: str, key: str | None) -> str | None:
        crm.tls_mode, crm.tls_client_cert = "require", certificate
        with transaction.atomic():
            services.save(crm, actor=ACTOR)
            services.keep_secrets(crm, client_key=key, actor=ACTOR)
        return services.connection_secrets()["connections"]["crm"]["client_key"]

    for certificate, key, why in (
        (own.certificate, None, "needs its private key"),
        (own.certificate, "", "needs its private key"),
        (own.certificate, renewed.key, "do not fit together"),
        ("", own.key, "together with the certificate"),
    ):
        with pytest.raises(ValidationError, match=why):
            keep(certificate, key)
        assert not Credential.objects.get().client_key
    assert keep(own.certificate, own.key) == keep(own.certificate, None) == own.key.strip()
    with pytest.raises(ValidationError, match="do not fit together"):
        keep(renewed.certificate, None)
    assert keep(renewed.certificate, renewed.key) == renewed.key.strip()
    assert keep("", None) is None
    assert not Credential.objects.get().client_key, "no secret stays that nothing needs"


def test_the_hash_key_stays_with_the_connection(crm: Connection) -> None:
    key = services.connection_secrets()["connections"]["crm"]["hash_key"]
    assert len(base64.b64decode(key)) == 32
    services.set_password(crm, password="another", actor=ACTOR)
    crm.port = 5433
    services.save(crm, actor=ACTOR)
    assert services.connection_secrets()["connections"]["crm"]["hash_key"] == key
    assert Credential.objects.count() == 1


def test_an_api_key_is_kept_as_a_verifier(bot: Subject) -> None:
    kept, text = services.create_key(bot, actor=ACTOR)
    expected = api_keys.verifier(text, bytes(bot.scram_salt))
    scram = newest()["subjects"][0]["scram"]
    assert scram["salt"] == base64.b64encode(bytes(bot.scram_salt)).decode()
    assert scram["keys"] == [
        {
            "id": kept.key_id,
            "stored_key": base64.b64encode(expected.stored_key).decode(),
            "server_key": base64.b64encode(expected.server_key).decode(),
            "expires": None,
        }
    ]
    assert text not in json.dumps(changes())
    assert services.key_in_use(bot, text)
    assert not services.key_in_use(bot, text[:-1] + "?")


def test_revoked_and_expired_keys_leave_the_bundle(bot: Subject) -> None:
    one, _ = services.create_key(bot, actor=ACTOR)
    two, text = services.create_key(bot, actor=ACTOR, expires_at=timezone.now() + timedelta(days=1))
    assert len(newest()["subjects"][0]["scram"]["keys"]) == 2
    services.revoke_key(one, actor=ACTOR)
    assert [key["id"] for key in newest()["subjects"][0]["scram"]["keys"]] == [two.key_id]
    services.revoke_key(two, actor=ACTOR)
    assert newest()["subjects"][0]["scram"] is None
    assert not services.key_in_use(bot, text)
    entries = Entry.objects.count()
    services.revoke_key(two, actor=ACTOR)
    assert Entry.objects.count() == entries
    with pytest.raises(ValidationError, match="already have expired"):
        services.create_key(bot, actor=ACTOR, expires_at=timezone.now())
    assert ApiKey.objects.count() == 2


def test_a_switched_off_subject_leaves_the_bundle(bot: Subject) -> None:
    bot.enabled = False
    services.save(bot, actor=ACTOR)
    assert newest()["subjects"] == []


def test_a_password_of_a_person_is_audited_without_it(admin_user: User) -> None:
    services.set_user_password(admin_user, password="correct horse battery", actor=admin_user)
    admin_user.refresh_from_db()
    assert admin_user.check_password("correct horse battery")
    assert changes()[-1]["actor"] == "root"
    assert "horse" not in json.dumps(changes())


def test_what_a_worker_gets_is_signed_and_sealed(crm: Connection) -> None:
    key = X25519PrivateKey.generate()
    answer = services.sealed_bundle(BundleVersion.objects.first(), base64.b64encode(key.public_key().public_bytes_raw()).decode())
    payload = verify_bundle(answer, {crypto.bundle_key_id(): base64.b64decode(crypto.bundle_public_key())}, 0)
    bundle = Bundle.load(payload, json.loads(unseal(answer["secrets"], key)))
    assert bundle.password("crm") == "target-password"
    assert "target-password" not in json.dumps(answer)


@pytest.mark.django_db(transaction=True)
def test_concurrent_changes_both_end_up_in_the_newest_bundle(bot: Subject, crm: Connection) -> None:
    """Two transactions that do not see each other's change: the later publisher must compile both."""
    held, done = threading.Event(), threading.Event()

    def other() -> None:
        try:
            held.wait(10)
            services.save(Group(name="late"), actor=ACTOR)
            done.set()
        finally:
            connections.close_all()

    thread = threading.Thread(target=other)
    thread.start()
    with transaction.atomic():
        services.save(Group(name="early"), actor=ACTOR)
        held.set()
        assert not done.wait(0.5)  # the second waits for the first to commit
    thread.join(10)
    assert {"early", "late"} <= set(newest()["groups"])
    serials = list(BundleVersion.objects.order_by("serial").values_list("serial", flat=True))
    assert serials == list(range(1, len(serials) + 1))
