"""Structured log lines: JSON on standard error, one object a line. Never SQL text, values or credentials."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog


def configure(*, stream: TextIO | None = None, **fields: object) -> None:
    """Set up structlog for this process; ``fields`` (process number, boot) stand on every line."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _exception_name_only,
            structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(**fields)
    # Libraries (httpx logs whole URLs at INFO) say nothing below a warning.
    logging.basicConfig(level=logging.WARNING, stream=stream or sys.stderr, format="%(levelname)s %(name)s: %(message)s")


def _exception_name_only(logger: object, name: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """An exception's text may quote SQL or a value: only its class and the place that raised it are written."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, BaseException):
        event["exception"] = type(error).__name__
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        if frame is not None:
            event["at"] = f"{frame.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{frame.tb_lineno}"
    return event


def logger() -> structlog.typing.FilteringBoundLogger:
    result: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return result
