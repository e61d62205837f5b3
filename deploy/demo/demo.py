"""`make demo`: a target, an identity provider and the whole stack, with agents that try things. `ONCE=1` ends with the result.

Everything is kept in `demo-data/` (or `DEMO_DIR`), which each run makes anew.
"""

import json
import os
import secrets
import shutil
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from string import Template
from types import FrameType
from typing import Any

from psycopg.conninfo import make_conninfo

from controlplane.stack.postgres import Postgres, default_bindir
from controlplane.stack.process import GuardedProcess
from deploy.demo import crm, evidence, scenes
from deploy.demo.approver import Mailbox
from deploy.demo.identity_provider import IdentityProvider
from deploy.demo.story import Story, Surprise

ROOT = Path(__file__).resolve().parents[2]
DIRECTORY = Path(os.environ.get("DEMO_DIR") or ROOT / "demo-data").resolve()
AGENT, TOKEN_AGENT = "support-bot", "report-bot"


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM."""


@contextmanager
def target(story: Story, password: str) -> Iterator[Postgres]:
    server = Postgres(DIRECTORY / "target", name="target")
    story.progress(f"starting the target: PostgreSQL in {server.directory}")
    server.start()
    try:
        story.progress(f"loading {crm.CUSTOMERS:,} customers and {crm.ORDERS:,} orders")
        crm.load(server.dsn(), "tidegate_agent", password)
        yield server
    finally:
        server.stop()


@contextmanager
def identity_provider(story: Story) -> Iterator[IdentityProvider]:
    provider = IdentityProvider(DIRECTORY / "identity-provider", [TOKEN_AGENT])
    story.progress(f"starting the identity provider: {provider.issuer}")
    provider.start()
    try:
        yield provider
    finally:
        provider.stop()


@contextmanager
def stack(story: Story, policy: Path, environment: dict[str, str]) -> Iterator[dict[str, Any]]:
    """The product itself, as anybody would start it; yields what its ready file says."""
    ready_file = DIRECTORY / "ready.json"
    command = [sys.executable, str(ROOT / "manage.py"), "stack", "--dir", str(DIRECTORY / "stack"), "--policy", str(policy)]
    command += ["--processes", "2", "--ready-file", str(ready_file)]
    process = GuardedProcess("stack", command, log=DIRECTORY / "stack.log", environment=environment, directory=ROOT, grace=60)
    story.progress("starting the stack: control plane, queue, proxy worker, and their engines")
    process.start()
    try:
        process.wait_ready(ready_file.exists, 90)
        yield json.loads(ready_file.read_text())
    finally:
        story.progress("stopping")
        process.stop()


def write_policy(server: Postgres, provider: IdentityProvider) -> Path:
    values = {"issuer": provider.issuer, "target_port": server.port, "target_tls": "disable"}
    policy = DIRECTORY / "policy.yaml"
    policy.write_text(Template((Path(__file__).parent / "policy.yaml").read_text()).substitute(values))
    return policy


def play(story: Story, server: Postgres, provider: IdentityProvider, ready: dict[str, Any], key: str) -> None:
    gateway = {"host": ready["proxy_host"], "port": ready["proxy_port"], "dbname": "crm", "application_name": "demo"}
    stage = scenes.Stage(
        story=story,
        agent=make_conninfo(**gateway, user=AGENT, password=key, sslmode="require"),
        agent_plain=make_conninfo(**gateway, user=AGENT, password=key, sslmode="disable"),
        target=server.dsn("crm"),
        psql=default_bindir() / "psql",
        mailbox=Mailbox(Path(ready["mail_dir"])),
        token=lambda: provider.token(TOKEN_AGENT),
        oidc=lambda token: make_conninfo(**gateway, user="oidc", password=token, sslmode="require"),
    )
    for scene in scenes.SCENES:
        scene(stage)
    evidence.export_and_verify(story, DIRECTORY / "stack", DIRECTORY / "export")


def stay_up(story: Story, ready: dict[str, Any], key: str) -> None:
    admin = ready["admin"]
    address = f"host={ready['proxy_host']} port={ready['proxy_port']} dbname=crm user={AGENT}"
    print(f"""
Everything stays up until Ctrl-C.
  web pages   {ready["control_url"]}/   (sign in as {admin["username"]}, password {admin["password"]})
  agents      psql "{address}"   (key {key})
  metrics     {ready["metrics_url"]}
  e-mails     {ready["mail_dir"]}
  commands    TIDEGATE_STACK_DIR={DIRECTORY / "stack"} .venv/bin/python manage.py help
""", flush=True)
    signal.pause()


def run(story: Story, once: bool) -> None:
    password, key = secrets.token_urlsafe(24), f"tgk_{secrets.token_urlsafe(32)}"
    # What an administrator would export before `manage.py stack`: the secrets that the policy file names.
    environment = dict(os.environ) | {"CRM_PASSWORD": password, "SUPPORT_BOT_KEY": key}
    with ExitStack() as running:
        server = running.enter_context(target(story, password))
        provider = running.enter_context(identity_provider(story))
        ready = running.enter_context(stack(story, write_policy(server, provider), environment))
        story.progress("ready")
        play(story, server, provider, ready, key)
        story.progress("the demo did what it should")
        if not once:
            stay_up(story, ready, key)


def interrupt(number: int, frame: FrameType | None) -> None:
    for stop_signal in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop_signal, signal.SIG_IGN)
    raise Interrupted


def main() -> int:
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    DIRECTORY.mkdir(parents=True)
    for stop_signal in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop_signal, interrupt)
    story = Story()
    try:
        run(story, once=os.environ.get("ONCE", "") not in ("", "0"))
    except Interrupted:
        return 0
    except Exception as problem:  # whatever it was, the reader needs the place of the logs with it
        if not isinstance(problem, Surprise):
            traceback.print_exc()
        print(f"\nthe demo failed: {problem}\nlogs: {DIRECTORY}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
