"""The classes that admin pages are built on: unfold's, or Django's own where unfold is not installed."""

from __future__ import annotations

from typing import Any

from django.apps import apps

_unfold = apps.is_installed("unfold")
BaseAdminSite: Any
ModelAdmin: Any
TabularInline: Any

if _unfold:
    from unfold.admin import ModelAdmin, TabularInline
    from unfold.sites import UnfoldAdminSite as BaseAdminSite
else:
    from django.contrib.admin import AdminSite as BaseAdminSite
    from django.contrib.admin import ModelAdmin, TabularInline

__all__ = ["BaseAdminSite", "ModelAdmin", "TabularInline"]
