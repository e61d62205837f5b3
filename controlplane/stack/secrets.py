"""The stack's secrets and addresses in `DIR/stack.env`: `KEY=VALUE` lines that only their owner may read.

Secrets are generated once and kept; what the environment already sets wins and is not copied into the file.
"""

import base64
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.fernet import Fernet

from controlplane.stack.postgres import write_private

FILE = "stack.env"


def generate() -> dict[str, str]:
    """Fresh secrets, by the names that the control plane reads (docs/contracts.md §7), and the broker's password."""
    return {
        "TIDEGATE_SECRET_KEY": secrets.token_urlsafe(48),
        "TIDEGATE_FERNET_KEYS": Fernet.generate_key().decode(),
        "TIDEGATE_SIGNING_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        "TIDEGATE_STACK_BROKER_PASSWORD": secrets.token_urlsafe(24),
    }


def read(directory: Path) -> dict[str, str]:
    """The pairs of `stack.env`; empty when there is none yet."""
    file = directory / FILE
    if not file.exists():
        return {}
    return dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line and not line.startswith("#"))


def prepare(directory: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """What the stack runs with: generated secrets, under those of an earlier start, under the environment."""
    known = generate() | read(directory)
    return known | {name: environment[name] for name in known if environment.get(name)}


def write(directory: Path, values: Mapping[str, str], environment: Mapping[str, str]) -> None:
    """Keep what other `manage.py` commands need to act on this stack; secrets given by the environment stay there."""
    kept = {name: value for name, value in sorted(values.items()) if environment.get(name) != value}
    lines = ["# Written by `manage.py stack`. Whoever can read this file can act as the control plane."]
    lines += [f"{name}={value}" for name, value in kept.items()]
    write_private(directory / FILE, "\n".join(lines) + "\n")
