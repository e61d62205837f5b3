"""Pages of the REST interface that begin where the last one ended (keyset.py)."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit import keyset

LARGEST = 500


class Newest(BasePagination):
    """The newest first. ``next`` and ``previous`` are the addresses of the pages around. No count: it would cost more than the page."""

    time = "time"

    def paginate_queryset(self, queryset: QuerySet, request: Request, view: APIView | None = None, *, scattered: bool = False) -> list[Any]:
        scattered = scattered or getattr(view, "scattered", False)
        self._page = keyset.page(queryset, request.query_params, time=self.time, size=_size(request), scattered=scattered)
        self._address = request.build_absolute_uri(request.path)
        return self._page.rows

    def get_paginated_response(self, data: Any) -> Response:
        around = {"next": self._page.later, "previous": self._page.earlier}
        return Response({**{name: f"{self._address}?{query}" if query else None for name, query in around.items()}, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        address = {"type": "string", "format": "uri", "nullable": True}
        members = {"next": address, "previous": address, "results": schema}
        return {"type": "object", "required": ["next", "previous", "results"], "properties": members}

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        position = {"type": "string", "pattern": r"^\d{1,17}\.\d{1,18}$"}
        return [
            _parameter("before", position, "Where the page begins: rows older than this position (from `next`)."),
            _parameter("after", position, "Where the page ends: rows newer than this position (from `previous`)."),
            _parameter("page_size", {"type": "integer", "minimum": 1, "maximum": LARGEST, "default": keyset.PAGE}, "How many rows."),
        ]


class NewestOpened(Newest):
    time = "opened_at"


def _size(request: Request) -> int:
    asked = request.query_params.get("page_size", "")
    return min(int(asked), LARGEST) if asked.isdecimal() and asked.isascii() and len(asked) < 9 and int(asked) else keyset.PAGE


def _parameter(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}
