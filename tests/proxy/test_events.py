import typing

from proxy import events
from proxy.session import session


def test_a_session_knows_what_to_do_about_every_event() -> None:
    classes = {value for value in vars(events).values() if isinstance(value, type) and value.__module__ == events.__name__}
    classes -= {events.ClientCertificate}  # which one of them carries
    assert set(typing.get_args(events.Event)) == classes
    assert set(session._HANDLERS) == classes
