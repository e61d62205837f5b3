"""The structures of a bundle: read strictly, never changed, and written back as they were."""

from __future__ import annotations

import json

import msgspec
import pytest

from proxy.policy import payload as parts
from proxy.policy.payload import CertificateIdentity
from tests.proxy.policy.example import payload, rule


def test_reads_and_writes_the_same_names() -> None:
    content = payload(rules=[rule(client_from=["10.0.0.0/8"], client_not_from=["10.1.0.0/16"], between={"from": "22:00", "to": "06:00"})])
    read = msgspec.json.decode(json.dumps(content).encode(), type=parts.Payload)
    written = msgspec.to_builtins(read)
    assert written["rules"][0]["when"]["from"] == ("10.0.0.0/8",)
    assert written["rules"][0]["when"]["not_from"] == ("10.1.0.0/16",)
    assert written["rules"][0]["when"]["between"]["from"] == "22:00"
    assert written["grants"][1]["from"] == content["grants"][1]["from"]


def test_nothing_can_be_changed() -> None:
    read = msgspec.json.decode(json.dumps(payload()).encode(), type=parts.Payload)
    with pytest.raises(AttributeError):
        read.connections[0].default = "allow"  # type: ignore[misc]


@pytest.mark.parametrize(
    "structure",
    [item for item in vars(parts).values() if isinstance(item, type) and issubclass(item, parts.Part) and item is not parts.Part],
)
def test_every_structure_refuses_unknown_fields(structure: type[msgspec.Struct]) -> None:
    assert structure.__struct_config__.forbid_unknown_fields
    assert structure.__struct_config__.frozen


def test_a_certificate_is_known_by_one_of_its_names() -> None:
    by_uri, by_name = CertificateIdentity(uri="spiffe://corp/bot"), CertificateIdentity(common_name="bot")
    assert by_uri.is_named("bot", ("https://x", "spiffe://corp/bot"))
    assert not by_uri.is_named("spiffe://corp/bot", ())
    assert by_name.is_named("bot", ())
    assert not by_name.is_named("", ("bot",))
    for impossible in ({}, {"uri": "a:b", "common_name": "c"}, {"uri": ""}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(impossible, CertificateIdentity)
