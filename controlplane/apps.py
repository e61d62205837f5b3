from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class ControlPlaneConfig(AppConfig):
    name = "controlplane"
    verbose_name = "Identities and connections"
    default_auto_field = "django.db.models.BigAutoField"
    default = True

    def ready(self) -> None:
        from controlplane import sessions  # noqa: F401  whoever signs in, in whatever way, begins a session with limits


class AdminConfig(admin_apps.AdminConfig):
    """Django's admin with our site (see admin_site.py)."""

    default_site = "controlplane.admin_site.TidegateAdminSite"
    default = False
