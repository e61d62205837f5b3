"""What the queue takes, and that beat knows tasks that exist."""

from __future__ import annotations

import pytest

from controlplane.celery import app


def test_every_scheduled_task_exists() -> None:
    app.loader.import_default_modules()
    assert app.conf.beat_schedule
    for entry in app.conf.beat_schedule.values():
        assert entry["task"] in app.tasks


def test_the_workers_task_exists() -> None:
    app.loader.import_default_modules()
    assert "approvals.request" in app.tasks


@pytest.mark.parametrize("name", ["accept_content", "task_serializer"])
def test_only_json_travels(name: str) -> None:
    assert app.conf[name] in (["json"], "json")
