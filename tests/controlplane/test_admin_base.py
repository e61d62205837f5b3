"""The admin site without unfold."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from tests import engines

ROOT = Path(__file__).resolve().parents[2]
OPEN_EVERY_PAGE = """
import django; django.setup()
from django.apps import apps
from django.conf import settings
settings.DATABASES["default"]["NAME"] = NAME_OF_DATABASE
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from controlplane.models import User
assert not apps.is_installed("unfold")
user, _ = User.objects.get_or_create(username="plain", defaults={"is_superuser": True})
client = Client(SERVER_NAME="testserver")
client.force_login(user)
try:
    for model, model_admin in admin.site._registry.items():
        base = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        listing = client.get(reverse(base + "_changelist"))
        assert listing.status_code == 200, base
        if model_admin.has_add_permission(listing.wsgi_request):
            assert client.get(reverse(base + "_add")).status_code == 200, base
    for address in ["index", *(tool.name for tool in admin.site.tools if tool.listed)]:
        assert client.get(reverse(f"admin:{address}")).status_code == 200, address
    print(len(admin.site._registry), "pages")
finally:
    user.delete()
"""


@pytest.mark.django_db(transaction=True)
def test_plain_admin_works() -> None:
    script = OPEN_EVERY_PAGE.replace("NAME_OF_DATABASE", repr(connection.settings_dict["NAME"]))
    environment = {**os.environ, **engines.environment(), "DJANGO_SETTINGS_MODULE": "tests.controlplane.plain_settings"}
    ended = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert int(ended.stdout.split()[0]) >= 12
