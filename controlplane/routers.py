from __future__ import annotations

from rest_framework.routers import SimpleRouter


class Router(SimpleRouter):
    """Addresses work with and without a slash at the end: a redirect would lose the body of a POST."""

    def __init__(self) -> None:
        super().__init__(trailing_slash=False)
        self.trailing_slash = "/?"
