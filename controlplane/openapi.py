"""The description of the REST interface: what all operations have in common, said of each."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

from controlplane.idempotency import HEADER, Idempotent

PROBLEM = {
    "type": "object",
    "description": "What is wrong, and what would be right (RFC 9457).",
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"type": "object", "additionalProperties": True, "description": "By field, where a field is wrong."},
    },
    "required": ["title", "status", "detail"],
}


class Schema(AutoSchema):
    def get_override_parameters(self) -> list[Any]:
        given = list(super().get_override_parameters())
        if isinstance(self.view, Idempotent) and self.method not in ("GET", "HEAD", "OPTIONS"):
            given.append(
                OpenApiParameter(
                    HEADER, {"type": "string", "maxLength": 255}, "header",
                    description="Sent again with the same key and body, the request is done once and answered the same, for a day.",
                )
            )  # fmt: skip
        return given


def describe_problems(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Every operation may end in a problem, whatever its status."""
    result["components"].setdefault("schemas", {})["Problem"] = PROBLEM
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path in result["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict) and "responses" in operation:
                operation["responses"].setdefault("default", {"description": "A problem.", "content": content})
    return result
