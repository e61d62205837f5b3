"""Errors of the REST interface as problem details (RFC 9457): what is wrong, in which field, and what would be right."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError
from django.db.models import ProtectedError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn an exception into ``{"title", "status", "detail", "errors"?}``; None leaves it to the server's 500."""
    error = _as_api_error(error)
    response = exception_handler(error, context)
    if response is None:
        return None
    body: dict[str, Any] = {"title": response.status_text, "status": response.status_code}
    if isinstance(error, exceptions.ValidationError):
        body["detail"] = "; ".join(_lines(response.data)) or "The request is not valid."
        body["errors"] = response.data if isinstance(response.data, dict) else {"": response.data}
    else:
        body["detail"] = str(response.data.get("detail", response.status_text)) if isinstance(response.data, dict) else response.status_text
    response.data = body
    response.content_type = "application/problem+json"
    return response


def _as_api_error(error: Exception) -> Exception:
    """Services speak Django's language; the interface answers with the same words."""
    if isinstance(error, DjangoValidationError):
        details = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
        return exceptions.ValidationError(
            {("non_field_errors" if name in ("", "__all__") else name): value for name, value in details.items()}
        )
    if isinstance(error, DataError):  # what no check of ours knows, e.g. zones of more than 16 hours
        return exceptions.ValidationError({"non_field_errors": ["A value is outside of what the database can hold."]})
    if isinstance(error, ProtectedError):
        users = ", ".join(sorted({f"{item._meta.verbose_name} '{item}'" for item in error.protected_objects}))
        conflict = exceptions.APIException(f"It is still used by {users}.")
        conflict.status_code = 409
        return conflict
    return error


def _lines(data: Any, where: str = "") -> list[str]:
    if isinstance(data, dict):
        return [line for name, value in data.items() for line in _lines(value, name if name != "non_field_errors" else where)]
    if isinstance(data, list):
        return [line for value in data for line in _lines(value, where)]
    return [f"{where}: {data}" if where else str(data)]
