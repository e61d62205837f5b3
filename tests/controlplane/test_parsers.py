from __future__ import annotations

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/api/v1/groups", "/api/v1/worker/enrol", "/api/v1/audit/exports"])
def test_json_that_is_too_deep_is_the_senders_mistake(admin: Client, path: str) -> None:
    answer = admin.post(path, "[" * 100_000, content_type="application/json")
    assert answer.status_code == 400
    assert "nested too deeply" in answer.json()["detail"]
