import uuid

import pytest

from proxy.session.state import EndSession
from tests.proxy.session.example import NOW
from tests.proxy.session.playbook import Playbook


def test_ids_are_random_uuids() -> None:
    state = Playbook().session._state
    ids = {state.new_id() for _ in range(10)}
    assert len(ids) == 10
    assert all(uuid.UUID(one).version == 4 and str(uuid.UUID(one)) == one for one in ids)


def test_the_clients_address() -> None:
    assert Playbook(client="10.1.2.3:5").session._state.client_ip == "10.1.2.3"
    assert Playbook(client="[::1]:5").session._state.client_ip == "::1"


def test_a_policy_grows_stale() -> None:
    state = Playbook().session._state
    state.now = NOW + 3600
    assert not state.is_stale()
    state.now += 1
    assert state.is_stale()


def test_nothing_without_a_policy() -> None:
    book = Playbook()
    book.environment.bundle = None
    with pytest.raises(EndSession):
        book.session._state.policy()
