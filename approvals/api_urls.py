"""Addresses below ``/api/v1/``."""

from __future__ import annotations

from django.urls import path

from approvals import api
from controlplane.routers import Router

router = Router()
router.register("approvals", api.ApprovalViewSet, basename="approval")
router.register("approved-shapes", api.ShapeViewSet, basename="approved-shape")
router.register("workflows", api.WorkflowViewSet, basename="workflow")

urlpatterns = [
    path("worker/approvals/claim", api.claim, name="worker-approval-claim"),
    path("worker/approvals/<uuid:pk>", api.state, name="worker-approval"),
    path("worker/approvals/<uuid:pk>/consume", api.consume, name="worker-approval-consume"),
    path("worker/approvals/<uuid:pk>/cancel", api.cancel, name="worker-approval-cancel"),
    *router.urls,
]
