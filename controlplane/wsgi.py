"""``gunicorn controlplane.wsgi``."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")

application = get_wsgi_application()

# Every page's code is loaded before the first request: processes forked from this one share it, and no visitor waits for it.
import controlplane.urls  # noqa: E402, F401
