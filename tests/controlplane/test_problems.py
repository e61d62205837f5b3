from __future__ import annotations

from django.core.exceptions import ValidationError
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
