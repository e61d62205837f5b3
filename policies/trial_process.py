"""``python -m policies.trial_process``: a trial in a process of its own, and how it is asked for one.

The parsers are C and the text may be hostile: what kills or stalls them must not take a web process with it. The child
gets no environment, little memory and one question on standard input, and ends with its answer.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import msgspec

from policies.trial import Outcome, Trial, try_out

SECONDS = 10
_MEMORY = 1 << 30
_PASSED_ON = ("PATH", "PYTHONHOME", "VIRTUAL_ENV", "LANG", "LC_ALL", "TZ")
_REFUSED = "A worker would refuse the statement as unanalyzable."
_ROOT = Path(__file__).resolve().parents[1]


class TrialFailed(Exception):
    """Why there is no outcome; a sentence for people."""


def ask(trial: Trial, seconds: float = SECONDS) -> list[Outcome]:
    """Try it out in a new process. Raises TrialFailed."""
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "policies.trial_process"], input=msgspec.msgpack.encode(trial), capture_output=True,
            cwd=_ROOT, env=environment, timeout=seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise TrialFailed(f"The analysis took more than {seconds:g} seconds. {_REFUSED}") from None
    try:
        return msgspec.msgpack.decode(ended.stdout, type=list[Outcome])
    except msgspec.MsgspecError:
        raise TrialFailed(f"The analysis came to nothing. {_REFUSED}") from None


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it would hold SQL
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    answers.write(msgspec.msgpack.encode(try_out(msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Trial))))
    answers.flush()


if __name__ == "__main__":
    main()
