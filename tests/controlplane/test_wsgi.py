from __future__ import annotations

from django.core.handlers.wsgi import WSGIHandler

from controlplane.wsgi import application


def test_gunicorn_finds_it() -> None:
    assert isinstance(application, WSGIHandler)
