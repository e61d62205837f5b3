"""The control plane: who may connect where, with what, and the pages and interfaces to say so."""

from controlplane.celery import app as celery_app

VERSION = "0.1.0"

__all__ = ["VERSION", "celery_app"]
