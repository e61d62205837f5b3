from __future__ import annotations

from unittest.mock import patch

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from rest_framework import exceptions

from controlplane.problems import problem_response


def test_a_service_s_words_are_the_answer_s() -> None:
    answer = problem_response(ValidationError({"port": ["too high"], "__all__": ["both"]}), {})
    assert answer.status_code == 400
    assert answer.data == {
        "title": "Bad Request",
        "status": 400,
        "detail": "port: too high; both",
        "errors": {"port": ["too high"], "non_field_errors": ["both"]},
    }
    assert problem_response(ValidationError("as a whole"), {}).data["detail"] == "as a whole"


def test_other_refusals() -> None:
    answer = problem_response(exceptions.PermissionDenied("This needs the role admin."), {})
    assert answer.data == {"title": "Forbidden", "status": 403, "detail": "This needs the role admin."}


def test_a_failure_is_the_server_s() -> None:
    assert problem_response(RuntimeError("secret"), {}) is None


@pytest.mark.django_db(transaction=True)
def test_what_the_database_cannot_hold_is_the_callers_mistake(admin: Client) -> None:
    answer = admin.get("/api/v1/audit/entries?until=2026-01-01T00:00:00%2B20:27")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert "the database can hold" in answer.json()["detail"]


def test_programs_get_problems_where_people_get_pages(admin: Client) -> None:
    missing = admin.get("/api/v1/nothing/here")
    assert (missing.status_code, missing["Content-Type"], missing.json()["status"]) == (404, "application/problem+json", 404)
    admin.raise_request_exception = False
    with patch("controlplane.api.GroupViewSet.get_queryset", side_effect=RuntimeError("secret detail")):
        broken = admin.get("/api/v1/groups")
    assert (broken.status_code, broken["Content-Type"]) == (500, "application/problem+json")
    assert "secret detail" not in broken.content.decode()
