"""The control plane: who may connect where, with what, and the pages and interfaces to say so."""

from controlplane.celery import app as celery_app

__all__ = ["celery_app"]
