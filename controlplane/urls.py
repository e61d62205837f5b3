"""Every address of the control plane."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from controlplane import account, views
from controlplane.oidc.views import Begin, Callback
from controlplane.sign_in import ConfirmView, PasswordView, SignInView, sign_out

urlpatterns = [
    path("", views.start, name="start"),
    path("healthz", views.healthz, name="healthz"),
    path("login", SignInView.as_view(), name="login"),
    path("logout", sign_out, name="logout"),
    path("confirm", ConfirmView.as_view(), name="confirm"),
    path("oidc/begin", Begin.as_view(), name="oidc_begin"),
    path("oidc/callback", Callback.as_view(), name="oidc_callback"),
    path("account", account.page, name="account"),
    path("account/connect", account.connect, name="account_connect"),
    path("password", PasswordView.as_view(), name="password_change"),
    path("account/passkeys", account.add_passkey, name="passkey_add"),
    path("account/passkeys/question", account.passkey_question, name="passkey_question"),
    path("account/passkeys/<int:pk>", account.change_passkey, name="passkey_change"),
    path("account/tokens", account.add_token, name="token_add"),
    path("account/tokens/<int:pk>/remove", account.remove_token, name="token_remove"),
    path("admin/", admin.site.urls),
    path("api/v1/", include("controlplane.api_urls")),
    path("approvals/", include("approvals.urls")),
    path("audit/", include("audit.urls")),
]

handler404 = "controlplane.views.not_found"
handler500 = "controlplane.views.failed"
