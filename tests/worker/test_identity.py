import stat
from pathlib import Path

import pytest
from joserfc import jws, jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import OKPKey

from tests.worker.control_plane import ControlPlane, Reply
from worker import identity
from worker.identity import AUDIENCE, EnrolmentError


def test_enrolment_keeps_the_identity_for_the_owner_only(control_plane: ControlPlane, tmp_path: Path) -> None:
    me = control_plane.enrol(tmp_path / "w")
    path = tmp_path / "w" / "identity.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = identity.load(tmp_path / "w")
    assert again is not None
    assert again.worker == me.worker
    assert list(again.bundle_keys) == ["k1"]
    assert "token" not in path.read_text()


def test_tokens_and_envelopes_verify_with_the_enrolled_key(control_plane: ControlPlane, tmp_path: Path) -> None:
    me = control_plane.enrol(tmp_path)
    key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": _urlsafe(control_plane.called("enrol")[0].json["public_key"])})
    with pytest.warns(SecurityWarning):
        token = jwt.decode(me.token(), key, algorithms=["EdDSA"])
    assert token.header["kid"] == me.worker
    assert token.claims["aud"] == AUDIENCE
    assert 0 < token.claims["exp"] - token.claims["iat"] <= 60
    assert token.claims["jti"]
    with pytest.warns(SecurityWarning):
        assert jws.deserialize_compact(me.sign(b"{}"), key, algorithms=["EdDSA"]).payload == b"{}"


def test_a_lost_answer_to_the_enrolment_does_not_lose_the_keys(control_plane: ControlPlane, tmp_path: Path) -> None:
    control_plane.on("POST", "enrol", Reply(500))
    with pytest.raises(EnrolmentError):
        identity.enrol(tmp_path, control_plane.url, "token", "test")
    control_plane.enrol(tmp_path)
    first, second = control_plane.called("enrol")
    assert first.json["public_key"] == second.json["public_key"]
    assert not (tmp_path / "identity.pending.json").exists()


@pytest.mark.parametrize(("token", "message"), [("", "set TIDEGATE_ENROL_TOKEN"), ("used-up", "HTTP 403")])
def test_no_identity_without_a_good_token(control_plane: ControlPlane, tmp_path: Path, token: str, message: str) -> None:
    control_plane.on("POST", "enrol", Reply(403))
    with pytest.raises(EnrolmentError, match=message) as caught:
        identity.enrol(tmp_path, control_plane.url, token, "test")
    assert not token or token not in str(caught.value)
    assert identity.load(tmp_path) is None


def test_a_damaged_identity_is_not_replaced_silently(tmp_path: Path) -> None:
    (tmp_path / "identity.json").write_text("{")
    with pytest.raises(EnrolmentError, match="damaged"):
        identity.load(tmp_path)


def test_nothing_secret_in_a_representation(control_plane: ControlPlane, tmp_path: Path) -> None:
    assert "key" not in repr(control_plane.enrol(tmp_path))


def _urlsafe(text: str) -> str:
    return text.replace("+", "-").replace("/", "_").rstrip("=")
