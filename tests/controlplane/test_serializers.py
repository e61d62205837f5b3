"""What is shown of secrets: nothing."""

from __future__ import annotations

import json

import pytest

from controlplane import serializers, services
from controlplane.models import BundleVersion, Connection, Subject, User
from tests.controlplane.conftest import ACTOR

pytestmark = pytest.mark.django_db


def test_nothing_secret_is_read(crm: Connection, bot: Subject, admin_user: User) -> None:
    admin_user.set_password("correct horse battery")
    key, text = services.create_key(bot, actor=ACTOR)
    shown = [
        serializers.ConnectionSerializer(crm).data,
        serializers.SubjectSerializer(bot).data,
        serializers.ApiKeySerializer(key).data,
        serializers.UserSerializer(admin_user).data,
        serializers.BundleContentSerializer(BundleVersion.objects.first()).data,
    ]
    everything = json.dumps(shown, default=str)
    for secret in ("target-password", text, admin_user.password, "hash_key", "scram_salt"):
        assert secret not in everything


def test_workflows_are_named(crm: Connection) -> None:
    field = serializers.ConnectionSerializer().fields["opaque_workflow"]
    assert field.slug_field == "name"
    assert field.get_queryset().count() == 0
