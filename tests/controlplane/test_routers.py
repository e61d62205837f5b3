from __future__ import annotations

from django.urls import include, path, resolve, reverse
from rest_framework.viewsets import ViewSet

from controlplane.routers import Router


class Things(ViewSet):
    def list(self, request: object) -> None: ...


router = Router()
router.register("things", Things, basename="thing")
urlpatterns = [path("", include(router.urls))]


def test_both_spellings_lead_there() -> None:
    assert resolve("/things", __name__).url_name == "thing-list"
    assert resolve("/things/", __name__).url_name == "thing-list"
    assert reverse("thing-list", __name__) == "/things"
