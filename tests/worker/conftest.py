from collections.abc import Iterator

import pytest

from tests.worker.control_plane import ControlPlane


@pytest.fixture
def control_plane() -> Iterator[ControlPlane]:
    plane = ControlPlane()
    yield plane
    plane.close()
