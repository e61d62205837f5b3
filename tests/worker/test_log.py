import io
import json
from collections.abc import Iterator

import pytest
import structlog

from worker import log


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    yield
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


def test_a_line_is_one_json_object_without_the_text_of_an_exception() -> None:
    stream = io.StringIO()
    log.configure(stream=stream, boot="b1")
    try:
        raise ValueError("SELECT secret FROM t")
    except ValueError as error:
        log.logger().error("session.internal_error", exc_info=error)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["boot"], line["exception"]) == ("session.internal_error", "error", "b1", "ValueError")
    assert line["at"].startswith("test_log.py:")
    assert "secret" not in stream.getvalue()
