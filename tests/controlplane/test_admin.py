"""The admin site: every page opens, and every change goes through services."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.contrib import admin as django_admin
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit.models import Entry
from controlplane import services, workers
from controlplane.models import ApiKey, BundleVersion, Connection, EnrolmentToken, Grant, Subject, User, Worker
from tests.certificates import issued
from tests.controlplane.conftest import ACTOR, EnrolledWorker

pytestmark = pytest.mark.django_db
MODELS = ["group", "user", "oidcissuer", "subject", "apikey", "connection", "grant", "worker", "enrolmenttoken", "bundleversion"]


def page(name: str, *arguments: object) -> str:
    return reverse(f"admin:{name}", args=arguments)


def changed() -> dict:
    return json.loads(Entry.objects.filter(kind="admin.changed").latest("id").canonical)["fields"]


def test_every_list_and_form_opens(admin: Client, bot: Subject, grant: Grant, worker: EnrolledWorker, admin_user: User) -> None:
    services.create_key(bot, actor=ACTOR)
    opened = 0
    for model, model_admin in django_admin.site._registry.items():
        base = f"{model._meta.app_label}_{model._meta.model_name}"
        listing = admin.get(page(f"{base}_changelist"))
        assert listing.status_code == 200, base
        row = model._default_manager.first()
        if row is not None:
            assert admin.get(page(f"{base}_change", row.pk)).status_code == 200, base
            opened += 1
        if model_admin.has_add_permission(listing.wsgi_request):
            assert admin.get(page(f"{base}_add")).status_code == 200, base
        assert admin.get(page(f"{base}_changelist"), {"q": "x"}).status_code == 200, base
    assert opened >= 9


@pytest.mark.parametrize("model", MODELS)
def test_only_admins_see_it(model: str, auditor: Client, approver: Client) -> None:
    app = "auth" if model == "group" else "controlplane"
    for client in (auditor, approver, Client()):
        assert client.get(page(f"{app}_{model}_changelist")).status_code == 302


def test_a_change_is_audited_and_published(admin: Client, bot: Subject, agents: Group) -> None:
    serial = BundleVersion.objects.first().serial
    form = {"name": "report-bot", "kind": "service", "groups": [agents.pk], "oidc_subject": ""}
    answer = admin.post(page("controlplane_subject_change", bot.pk), form)
    assert answer.status_code == 302, answer.content[:2000]
    assert (changed()["object"], changed()["action"], changed()["actor"]) == ("report-bot", "change", "root")
    assert BundleVersion.objects.first().serial == serial + 1
    assert "report-bot" not in BundleVersion.objects.first().payload  # the switch was off


def test_removing_is_audited_and_published(admin: Client, bot: Subject) -> None:
    assert admin.post(page("controlplane_subject_delete", bot.pk), {"post": "yes"}).status_code == 302
    assert (changed()["object"], changed()["action"]) == ("report-bot", "remove")
    assert "report-bot" not in BundleVersion.objects.first().payload


def test_several_at_once(admin: Client, bot: Subject) -> None:
    form = {"action": "delete_selected", "_selected_action": [bot.pk], "post": "yes"}
    assert admin.post(page("controlplane_subject_changelist"), form).status_code == 302
    assert not Subject.objects.exists()
    assert changed()["action"] == "remove"


def test_a_connection_is_made_with_its_password(admin: Client) -> None:
    form = {
        "name": "crm", "host": "db", "port": 5432, "dbname": "crm", "user": "agent", "password": "target-password", "tls_mode": "disable",
        "default": "deny", "unanalyzable": "deny", "opaque_functions": "deny", "derived_use": "scan", "detectors": "off",
        "row_evidence": "count",
    }  # fmt: skip
    answer = admin.post(page("controlplane_connection_add"), form)
    assert answer.status_code == 302, answer.context["errors"]
    assert services.connection_secrets()["connections"]["crm"]["password"] == "target-password"
    shown = admin.get(page("controlplane_connection_change", Connection.objects.get().pk)).content.decode()
    assert "target-password" not in shown
    admin.post(page("controlplane_connection_change", Connection.objects.get().pk), {**form, "password": ""})
    assert services.connection_secrets()["connections"]["crm"]["password"] == "target-password"


def test_a_client_certificate_is_shown_and_its_key_never(admin: Client, crm: Connection) -> None:
    own, there = issued("tidegate"), page("controlplane_connection_change", crm.pk)
    form = {
        "name": "crm", "host": "db", "port": 5432, "dbname": "crm", "user": "agent", "tls_mode": "require", "default": "deny",
        "unanalyzable": "deny", "opaque_functions": "deny", "derived_use": "scan", "detectors": "off",
        "row_evidence": "count",
        "tls_client_cert": own.certificate, "tls_client_key": own.key,
    }  # fmt: skip
    again = admin.post(there, {**form, "port": 0}).content.decode()
    secret = own.key.splitlines()[1]
    assert own.certificate.splitlines()[1] in again
    assert secret not in again
    refused = admin.post(there, {**form, "tls_client_key": issued("another").key}, follow=True).content.decode()
    assert "Nothing was changed. The client certificate and its key do not fit together." in refused
    assert admin.post(there, form).status_code == 302
    assert services.connection_secrets()["connections"]["crm"]["client_key"] == own.key.strip()
    assert admin.post(there, {**form, "tls_client_key": ""}).status_code == 302
    assert services.connection_secrets()["connections"]["crm"]["client_key"] == own.key.strip()
    shown = admin.get(there).content.decode()
    assert own.certificate.splitlines()[1] in shown
    assert secret not in shown


def test_what_is_wrong_is_shown_at_the_field(admin: Client, crm: Connection) -> None:
    answer = admin.post(page("controlplane_grant_add"), {"connections": [crm.pk], "actions": ["select"]})
    assert answer.status_code == 200
    assert "at least one subject or group" in answer.content.decode()
    assert not Grant.objects.exists()


def test_what_services_refuse_is_a_message_and_changes_nothing(admin: Client, agents: Group) -> None:
    from policies.models import StatementRule

    services.save(StatementRule(name="r", when={"groups": ["agents"]}, then="deny"), actor=ACTOR)
    answer = admin.post(page("auth_group_change", agents.pk), {"name": "renamed"}, follow=True)
    assert "&#x27;r&#x27; still name &#x27;agents&#x27;" in answer.content.decode()
    assert Group.objects.get().name == "agents"


def test_a_key_is_shown_once(admin: Client, bot: Subject) -> None:
    asked = page("controlplane_subject_create_key", bot.pk)
    assert admin.get(asked).status_code == 200
    assert not ApiKey.objects.exists()  # a GET makes none
    answer = admin.post(asked, {"days": 30})
    key = answer.context["secret"]
    assert key in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert services.key_in_use(bot, key)
    assert key not in admin.get(page("controlplane_subject_change", bot.pk)).content.decode()
    form = {"action": "revoke", "_selected_action": [ApiKey.objects.get().pk]}
    admin.post(page("controlplane_apikey_changelist"), form)
    assert not services.key_in_use(bot, key)


def test_an_enrolment_token_is_shown_once(admin: Client) -> None:
    add = page("controlplane_enrolmenttoken_add")
    assert "letters" in admin.post(add, {"name": "a b"}).content.decode()
    answer = admin.post(add, {"name": "host-a"})
    assert answer.context["secret"].startswith("tge_")
    assert "no-store" in answer["Cache-Control"]
    listing = admin.get(page("controlplane_enrolmenttoken_changelist")).content.decode()
    assert answer.context["secret"] not in listing
    assert EnrolmentToken.objects.count() == 1


def test_a_worker_is_revoked(admin: Client, worker: EnrolledWorker) -> None:
    admin.post(page("controlplane_worker_changelist"), {"action": "revoke", "_selected_action": [worker.identity.worker]})
    assert not Worker.objects.active().exists()
    assert changed()["actor"] == "root"


def test_a_person_gets_roles_and_a_password(admin: Client) -> None:
    form = {"username": "dana", "usable_password": "true", "password1": "correct horse battery", "password2": "correct horse battery"}
    assert admin.post(page("controlplane_user_add"), form).status_code == 302
    dana = User.objects.get(username="dana")
    assert dana.check_password("correct horse battery")
    assert dana.roles == []
    form = {"username": "dana", "is_active": "on", "is_approver": "on"}
    refused = admin.post(page("controlplane_user_change", dana.pk), form)
    assert "needs an e-mail address" in refused.content.decode()
    assert admin.post(page("controlplane_user_change", dana.pk), {**form, "email": "d@example.com"}).status_code == 302
    dana.refresh_from_db()
    assert dana.roles == ["approver"]
    entries = Entry.objects.filter(kind="admin.changed").count()
    new = {"password1": "another long password", "password2": "another long password", "usable_password": "true", "set-password": "1"}
    assert admin.post(page("auth_user_password_change", dana.pk), new).status_code == 302
    assert Entry.objects.filter(kind="admin.changed").count() == entries + 1
    assert "another long" not in "".join(Entry.objects.values_list("disclosures", flat=True))


def test_tokens_of_people_are_not_shown(admin: Client) -> None:
    assert not any(model._meta.model_name in ("token", "tokenproxy") for model in django_admin.site._registry)


def test_workers_list_says_what_runs(admin: Client, worker: EnrolledWorker) -> None:
    beat = {
        "boot": "3f2a1c1e-0000-4000-8000-000000000001",
        "pid": 1,
        "version": "1",
        "bundle_digest": "",
        "sessions": 17,
        "spool_entries": 0,
    }
    worker.call("post", "heartbeat", beat)
    workers.create_token(name="other", actor=ACTOR)
    assert ">17<" in admin.get(page("controlplane_worker_changelist")).content.decode().replace(" ", "").replace("\n", "")


def test_subjects_are_switched_together(admin: Client, bot: Subject) -> None:
    serial = BundleVersion.objects.first().serial
    listing = page("controlplane_subject_changelist")
    admin.post(listing, {"action": "switch_off", "_selected_action": [bot.pk]})
    assert not Subject.objects.get().enabled
    assert changed()["actor"] == "root"
    assert BundleVersion.objects.first().serial == serial + 1
    admin.post(listing, {"action": "switch_on", "_selected_action": [bot.pk]})
    assert Subject.objects.get().enabled


def test_a_new_key_takes_the_place_of_the_others(admin: Client, bot: Subject) -> None:
    first, second = services.create_key(bot, actor=ACTOR)[0], services.create_key(bot, actor=ACTOR)[0]
    asked = page("controlplane_subject_create_key", bot.pk)
    admin.post(asked, {"days": 90, "others": 24})
    ends = [key.expires_at - timezone.now() for key in ApiKey.objects.filter(pk__in=[first.pk, second.pk])]
    assert all(timedelta(hours=23) < end <= timedelta(hours=24) for end in ends)
    serial = BundleVersion.objects.first().serial
    text = admin.post(asked, {"days": 90, "others": 0}).context["secret"]
    assert BundleVersion.objects.first().serial == serial + 1  # workers load it once
    assert [key.state for key in bot.keys.all()].count("active") == 1
    assert services.key_in_use(bot, text)


def test_the_history_of_an_object_goes_through_its_names(admin: Client, bot: Subject, crm: Connection) -> None:
    bot.name = "renamed"
    services.save(bot, actor="dana")
    bot.kind = "service"
    services.save(bot, actor="otto")
    answer = admin.get(page("controlplane_subject_history", bot.pk))
    said = [(change.action, change.actor, change.values) for change in answer.context["page"].object_list]
    assert said[0] == ("change", "otto", (("kind", "agent", "service"),))
    assert said[1] == ("change", "dana", (("name", "report-bot", "renamed"),))
    assert said[2][:2] == ("create", ACTOR)
    assert len(said) == 3
    assert reverse("audit:entry", args=[Entry.objects.filter(kind="admin.changed").latest("id").pk]) in answer.content.decode()
    assert "scram" not in answer.content.decode()


def test_the_history_of_a_grant_and_of_a_key(admin: Client, grant: Grant, bot: Subject, auditor: Client) -> None:
    grant.actions = ["select", "insert"]
    services.save(grant, actor="dana")
    seen = admin.get(page("controlplane_grant_history", grant.pk)).context["page"].object_list
    assert [(change.action, change.actor) for change in seen] == [("change", "dana"), ("create", ACTOR)]
    key, _ = services.create_key(bot, actor=ACTOR)
    services.revoke_key(key, actor="dana")
    seen = admin.get(page("controlplane_apikey_history", key.pk)).context["page"].object_list
    assert [change.action for change in seen] == ["change", "create"]
    assert admin.get(page("controlplane_grant_history", 999)).status_code == 404
    assert auditor.get(page("controlplane_grant_history", grant.pk)).status_code == 302
