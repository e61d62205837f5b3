"""The REST interface, version 1."""

from __future__ import annotations

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from controlplane import api, worker_api
from controlplane.routers import Router
from policies.api import MaskingRuleViewSet, StatementRuleViewSet, policy_schema

router = Router()
router.register("groups", api.GroupViewSet)
router.register("users", api.UserViewSet)
router.register("oidc-issuers", api.OidcIssuerViewSet)
router.register("subjects", api.SubjectViewSet)
router.register(r"subjects/(?P<subject_id>\d+)/keys", api.KeyViewSet, basename="key")
router.register("connections", api.ConnectionViewSet)
router.register("grants", api.GrantViewSet)
router.register("masking-rules", MaskingRuleViewSet)
router.register("statement-rules", StatementRuleViewSet)
router.register("workers", api.WorkerViewSet)
router.register("enrolment-tokens", api.EnrolmentTokenViewSet)
router.register("bundles", api.BundleVersionViewSet)

urlpatterns = [
    path("", include(router.urls)),
    path("", include("approvals.api_urls")),
    path("", include("audit.api_urls")),
    path("worker/enrol", worker_api.EnrolView.as_view(), name="worker-enrol"),
    path("worker/bundle", worker_api.BundleView.as_view(), name="worker-bundle"),
    path("worker/heartbeat", worker_api.HeartbeatView.as_view(), name="worker-heartbeat"),
    path("worker/catalog", worker_api.CatalogView.as_view(), name="worker-catalog"),
    path("policy-schema", policy_schema, name="policy-schema"),
    path("schema", SpectacularAPIView.as_view(), name="schema"),
    path("docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
]
