"""Addresses below ``/api/v1/``."""

from __future__ import annotations

from django.urls import path

from audit import api
from controlplane.routers import Router

router = Router()
router.register("audit/entries", api.EntryViewSet, basename="entry")
router.register("audit/exports", api.ExportViewSet, basename="export")

urlpatterns = [
    path("worker/audit", api.ingest, name="worker-audit"),
    path("audit/checkpoints/latest", api.latest_checkpoint, name="checkpoint-latest"),
    *router.urls,
]
