from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Target
from tests.worker.control_plane import ControlPlane
from tests.worker.gateway import Gateway, bundle, secrets

Make = Callable[..., Gateway]


@pytest.fixture
def control_plane() -> Iterator[ControlPlane]:
    plane = ControlPlane()
    yield plane
    plane.close()


@pytest.fixture
def make(control_plane: ControlPlane, target15: Target, broker: str, tmp_path: Path) -> Iterator[Make]:
    """A running gateway with the bundle of :func:`bundle` and the given changes."""
    made: list[Gateway] = []

    def start(*, processes: int = 1, variables: dict[str, str] | None = None, **changes: object) -> Gateway:
        found = Gateway(control_plane, tmp_path / "worker", broker, processes=processes, **variables or {})
        made.append(found)
        found.start(ready=False)
        found.until(lambda: control_plane.called("enrol"))
        control_plane.publish(bundle(target15, **changes), secrets(target15))
        found.until(lambda: found.health()[0] == 200)
        return found

    yield start
    for gateway in made:
        gateway.close()
