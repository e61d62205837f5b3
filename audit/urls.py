from __future__ import annotations

from django.urls import path

from audit import report_views, views

app_name = "audit"
urlpatterns = [
    path("", views.statements, name="statements"),
    path("statements/<int:pk>/", views.statement, name="statement"),
    path("statements/<int:pk>/proof", report_views.proof, name="proof"),
    path("sessions/", views.sessions, name="sessions"),
    path("sessions/<str:session>/", views.session, name="session"),
    path("entries/", views.entries, name="entries"),
    path("entries/<int:pk>/", views.entry, name="entry"),
    path("reports/", report_views.reports, name="reports"),
    path("reports/<slug:kind>/", report_views.report, name="report"),
    path("reports/<slug:kind>/file", report_views.order, name="order"),
    path("reports/<slug:kind>/save", report_views.save, name="save"),
    path("saved/<int:pk>/delete", report_views.delete, name="delete-saved"),
    path("exports/", report_views.exports, name="exports"),
    path("exports/<uuid:pk>/download", report_views.download, name="download"),
]
