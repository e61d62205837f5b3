"""Under which account PostgreSQL runs: never root, and one that can reach its files."""

import os
from pathlib import Path

import pytest

from controlplane.stack import account
from controlplane.stack.account import Account, AccountError, real_nobody, unprivileged


def test_commands_do_not_run_as_root() -> None:
    assert unprivileged().run(["id", "-u"]).stdout.strip() != "0"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account")
def test_without_user_namespaces_it_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "ROOT_AS_NOBODY", ("no-such-program", "--"))
    chosen = unprivileged()
    assert chosen == real_nobody()
    assert chosen.run(["id", "-un"]).stdout.strip() == "nobody"


def test_an_ordinary_user_stays_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert unprivileged() == Account()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can close a directory to nobody")
def test_a_closed_directory_on_the_way_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(AccountError, match=str(closed)):
        real_nobody().require_reach(closed / "data")
    Account(prefix=("unshare",)).require_reach(closed / "data")
