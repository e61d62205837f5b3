"""What the control plane needs before its processes start: tables, an admin, a policy, a worker's invitation.

Runs Django inside the supervisor, since each start of a Python with Django costs more than all of this together. Import
this module only when the secrets are in the environment.
"""

import json
import secrets
from pathlib import Path

import django
from django.core.management import call_command
from django.db import connections

from controlplane.stack.children import Layout
from controlplane.stack.postgres import write_private

ACTOR = "manage.py stack"
ADMIN = "admin"


def load_django() -> None:
    django.setup()


def migrate() -> None:
    call_command("migrate", interactive=False, verbosity=0)


def ensure_admin(file: Path) -> dict[str, str]:
    """The admin's user name and password; made once and kept in `file`, which only its owner may read."""
    from controlplane import services
    from controlplane.models import User

    if file.exists() and User.objects.filter(username=ADMIN).exists():
        account: dict[str, str] = json.loads(file.read_text())
        return account
    account = {"username": ADMIN, "password": secrets.token_urlsafe(18)}
    write_private(file, json.dumps(account))
    user = User.objects.filter(username=ADMIN).first() or User(username=ADMIN, email="admin@localhost.localdomain")
    user.set_roles(["admin"])
    if user.pk is None:
        user.set_unusable_password()
        services.save(user, actor=ACTOR)
    services.set_user_password(user, password=account["password"], actor=ACTOR)
    return account


def apply_policy(file: Path) -> None:
    call_command("apply", "-f", str(file))


def publish_first_bundle() -> None:
    """A worker without a bundle is not healthy, and a fresh control plane has changed nothing that would publish one."""
    from controlplane import services
    from controlplane.models import BundleVersion

    if not BundleVersion.objects.exists():
        services.publish_bundle(actor=ACTOR)


def invitation(layout: Layout) -> str:
    """A one-time token for a worker that has no identity yet; empty for one that has."""
    from controlplane import workers

    if (layout.worker / "identity.json").exists():
        return ""
    _, text = workers.create_token(name="stack", actor=ACTOR, hours=1)
    return text


def celery_answers() -> bool:
    """True when a Celery worker takes tasks from the broker."""
    from controlplane.celery import app

    return bool(app.control.ping(timeout=0.3))


def close() -> None:
    """Let go of the control database: the supervisor must not hold a session while it only watches."""
    connections.close_all()
