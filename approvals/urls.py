from __future__ import annotations

from django.urls import path

from approvals import views

app_name = "approvals"
urlpatterns = [
    path("", views.inbox, name="inbox"),
    path("reviews/", views.reviews, name="reviews"),
    path("shapes/", views.approved_shapes, name="shapes"),
    path("shapes/<uuid:pk>/revoke/", views.revoke_shape, name="revoke-shape"),
    path("r/<str:token>/", views.link, name="link"),
    path("<uuid:pk>/", views.detail, name="detail"),
    path("<uuid:pk>/passkey", views.passkey_question, name="passkey_question"),
]
