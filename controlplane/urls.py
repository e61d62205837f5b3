"""Every address of the control plane."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path

from controlplane import views
from controlplane.sign_in import SignInView

urlpatterns = [
    path("", views.start, name="start"),
    path("healthz", views.healthz, name="healthz"),
    path("login", SignInView.as_view(), name="login"),
    path("logout", auth_views.LogoutView.as_view(), name="logout"),
    path("password", views.PasswordView.as_view(), name="password_change"),
    path("admin/", admin.site.urls),
    path("api/v1/", include("controlplane.api_urls")),
    path("approvals/", include("approvals.urls")),
    path("audit/", include("audit.urls")),
]
