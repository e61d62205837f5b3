from __future__ import annotations

from django.urls import path

from audit import views

app_name = "audit"
urlpatterns = [
    path("", views.entries, name="entries"),
    path("entries/<int:pk>/", views.entry, name="entry"),
    path("sessions/<str:session>/", views.session, name="session"),
    path("exports/", views.exports, name="exports"),
    path("exports/<uuid:pk>/download", views.download, name="download"),
]
