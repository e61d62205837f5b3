"""Addresses below ``/api/v1/``."""

from __future__ import annotations

from django.urls import path

from audit import api, report_api
from controlplane.routers import Router

router = Router()
router.register("audit/entries", api.EntryViewSet, basename="entry")
router.register("audit/statements", api.StatementViewSet, basename="statement")
router.register("audit/sessions", api.SessionViewSet, basename="audit-session")
router.register("audit/exports", report_api.ExportViewSet, basename="export")
router.register("audit/reports", report_api.ReportViewSet, basename="report")
router.register("audit/saved-reports", report_api.SavedReportViewSet, basename="saved-report")

urlpatterns = [
    path("worker/audit", api.ingest, name="worker-audit"),
    path("audit/checkpoints/latest", api.latest_checkpoint, name="checkpoint-latest"),
    *router.urls,
]
