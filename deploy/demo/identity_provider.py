"""A real OpenID Connect provider for the demo and the tests: nanoidp on loopback, with clients for agents, and people who sign in.

Its signing key is made here and given to it, so that a test can also sign what no honest provider would.
"""

import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from controlplane.stack.ports import LOOPBACK, free_port
from controlplane.stack.postgres import write_private
from controlplane.stack.process import GuardedProcess

KEY_ID = "demo-key"
AUDIENCE = "tidegate"
WEB_CLIENT = "tidegate-web"  # what the control plane is registered as, for people's sign-in
OTHER_AUDIENCE = "https://other.example"  # a resource indicator is an absolute URI (RFC 8707)


class IdentityProvider:
    """`clients` are the client ids that get tokens for `AUDIENCE`; `people` has users by name with `password`, `email` and `groups`.

    `start()` returns when it answers.
    """

    def __init__(
        self, directory: Path, clients: Sequence[str], *, people: Mapping[str, Mapping[str, Any]] | None = None, port: int | None = None
    ) -> None:
        self.directory = directory.resolve()
        self.port = port or free_port()
        self.issuer = f"http://{LOOPBACK}:{self.port}"
        self.private_key = self.directory / "signing-key.pem"
        self._clients = {name: secrets.token_urlsafe(24) for name in (*clients, WEB_CLIENT)}
        self._people = dict(people or {})
        self._process = GuardedProcess(
            "identity-provider",
            [sys.executable, "-m", "nanoidp", "--config", str(self.directory), "--host", LOOPBACK, "--port", str(self.port)],
            log=self.directory / "identity-provider.log",
            environment={name: value for name, value in os.environ.items() if not name.startswith(("TIDEGATE_", "NANOIDP_"))},
            directory=self.directory,
        )

    def start(self) -> None:
        self._configure()
        self._process.start()
        self._process.wait_ready(self._answers, 30)

    def stop(self) -> None:
        self._process.stop()

    def environment(self) -> dict[str, str]:
        """What the control plane's environment says of this provider."""
        secret = self._clients[WEB_CLIENT]
        return {"TIDEGATE_OIDC_ISSUER": self.issuer, "TIDEGATE_OIDC_CLIENT_ID": WEB_CLIENT, "TIDEGATE_OIDC_CLIENT_SECRET": secret}

    def token(self, client: str, resource: str = "") -> str:
        """An access token by the client-credentials grant (RFC 6749, section 4.4); for another audience if `resource` names one."""
        answer = httpx.post(
            f"{self.issuer}/token",
            data={"grant_type": "client_credentials"} | ({"resource": resource} if resource else {}),
            auth=(client, self._clients[client]),
            timeout=10,
            trust_env=False,
        )
        answer.raise_for_status()
        token: str = answer.json()["access_token"]
        return token

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.issuer}/.well-known/openid-configuration", timeout=2, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def _configure(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self._make_key()
        clients = [
            {"client_id": name, "client_secret": secret, "description": "an agent", "allowed_resources": [OTHER_AUDIENCE]}
            for name, secret in self._clients.items()
        ]
        settings = {
            "config_version": 1,
            "server": {"host": LOOPBACK, "port": self.port},
            "oauth": {"issuer": self.issuer, "audience": AUDIENCE, "token_expiry_minutes": 10, "clients": clients},
            "jwt": {
                "algorithm": "RS256",
                "keys_dir": str(self.directory / "keys"),
                "external_keys": {
                    "kid": KEY_ID,
                    "private_key": str(self.private_key),
                    "public_key": str(self.directory / "signing-key.pub.pem"),
                },
            },
            "session": {"secret_key": secrets.token_urlsafe(32)},
        }
        write_private(self.directory / "settings.yaml", yaml.safe_dump(settings))
        write_private(self.directory / "users.yaml", yaml.safe_dump({"config_version": 1, "users": self._people}))

    def _make_key(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        write_private(self.private_key, private.decode())
        write_private(self.directory / "signing-key.pub.pem", public.decode())
