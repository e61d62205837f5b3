"""What a worker is told when it starts: flags, each with an environment variable of the same name."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

# flag, environment variable, default, help
_OPTIONS: tuple[tuple[str, str, str | None, str], ...] = (
    ("--control-url", "TIDEGATE_CONTROL_URL", None, "the control plane, e.g. https://tidegate.internal"),
    ("--broker-url", "TIDEGATE_BROKER_URL", None, "Redis of the control plane's Celery, e.g. redis://broker:6379/0"),
    ("--worker-dir", "TIDEGATE_WORKER_DIR", None, "directory for identity, bundle cache and audit spool (kept over restarts)"),
    ("--enrol-token", "TIDEGATE_ENROL_TOKEN", "", "one-time token; only needed while the directory holds no identity"),
    ("--listen", "TIDEGATE_LISTEN", "127.0.0.1:6432", "host:port for agents"),
    ("--processes", "TIDEGATE_PROCESSES", "1", "worker processes that share the port"),
    ("--metrics-listen", "TIDEGATE_METRICS_LISTEN", "127.0.0.1:9187", "host:port of /metrics and /healthz"),
    ("--tls-cert", "TIDEGATE_TLS_CERT", "", "PEM certificate chain for agents' TLS"),
    ("--tls-key", "TIDEGATE_TLS_KEY", "", "PEM private key for agents' TLS"),
    ("--tls-client-ca", "TIDEGATE_TLS_CLIENT_CA", "", "PEM authorities of agents' certificates, which are checked where one is shown"),
    ("--drain-seconds", "TIDEGATE_DRAIN_SECONDS", "30", "how long SIGTERM waits for statements under way"),
    ("--spool-bytes", "TIDEGATE_SPOOL_BYTES", str(1 << 30), "unshipped audit kept on disk by all processes; full refuses statements"),
)


class SettingsError(ValueError):
    """A flag or variable is missing or impossible; the message names it."""


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    @classmethod
    def parse(cls, text: str, name: str) -> Address:
        """``host:port``; an IPv6 host stands in brackets."""
        host, _, port = text.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:
            raise SettingsError(f"{name} must be host:port, not {text!r}")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))


@dataclass(frozen=True, slots=True)
class Settings:
    control_url: str
    broker_url: str
    worker_dir: Path
    enrol_token: str
    listen: Address
    processes: int
    metrics_listen: Address
    tls_cert: str
    tls_key: str
    tls_client_ca: str
    drain_seconds: float
    spool_bytes: int

    def __repr__(self) -> str:
        # The broker's URL and the token are credentials: nothing may print this object by accident.
        return f"Settings(control_url={self.control_url!r}, worker_dir={str(self.worker_dir)!r})"


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="python -m worker", description="A Tidegate proxy worker.")
    for flag, variable, default, text in _OPTIONS:
        note = f" (default {default})" if default else ""
        result.add_argument(flag, metavar="VALUE", help=f"{text}{note} [{variable}]")
    return result


def load(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from flags, else the environment, else defaults. Raises: SettingsError."""
    return from_mapping({**environment, **flags_as_environment(arguments)})


def flags_as_environment(arguments: Sequence[str]) -> dict[str, str]:
    """Given flags under the names of their variables: that is how the parent hands them to its processes."""
    given = parser().parse_args(arguments)
    pairs = ((variable, getattr(given, flag[2:].replace("-", "_"))) for flag, variable, _, _ in _OPTIONS)
    return {variable: value for variable, value in pairs if value is not None}


def from_mapping(values: Mapping[str, str]) -> Settings:
    known: dict[str, str] = {}
    for flag, variable, default, _ in _OPTIONS:
        value = values.get(variable) or default
        if value is None:
            raise SettingsError(f"{variable} (or {flag}) is not set")
        known[variable] = value
    if urlsplit(known["TIDEGATE_CONTROL_URL"]).scheme not in ("http", "https"):
        raise SettingsError("TIDEGATE_CONTROL_URL must be an http or https address")
    if bool(known["TIDEGATE_TLS_CERT"]) != bool(known["TIDEGATE_TLS_KEY"]):
        raise SettingsError("TIDEGATE_TLS_CERT and TIDEGATE_TLS_KEY go together")
    if known["TIDEGATE_TLS_CLIENT_CA"] and not known["TIDEGATE_TLS_CERT"]:
        raise SettingsError("TIDEGATE_TLS_CLIENT_CA needs TIDEGATE_TLS_CERT: certificates are shown over TLS only")
    return Settings(
        control_url=known["TIDEGATE_CONTROL_URL"].rstrip("/"),
        broker_url=known["TIDEGATE_BROKER_URL"],
        worker_dir=Path(known["TIDEGATE_WORKER_DIR"]),
        enrol_token=known["TIDEGATE_ENROL_TOKEN"],
        listen=Address.parse(known["TIDEGATE_LISTEN"], "TIDEGATE_LISTEN"),
        processes=_number(known, "TIDEGATE_PROCESSES", 1),
        metrics_listen=Address.parse(known["TIDEGATE_METRICS_LISTEN"], "TIDEGATE_METRICS_LISTEN"),
        tls_cert=known["TIDEGATE_TLS_CERT"],
        tls_key=known["TIDEGATE_TLS_KEY"],
        tls_client_ca=known["TIDEGATE_TLS_CLIENT_CA"],
        drain_seconds=_number(known, "TIDEGATE_DRAIN_SECONDS", 0),
        spool_bytes=_number(known, "TIDEGATE_SPOOL_BYTES", 1),
    )


def _number(known: Mapping[str, str], variable: str, least: int) -> int:
    value = known[variable]
    if not value.isdigit() or int(value) < least:
        raise SettingsError(f"{variable} must be a whole number of at least {least}, not {value!r}")
    return int(value)
