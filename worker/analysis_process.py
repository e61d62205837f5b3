"""``python -m worker.analysis_process``: reads never-seen SQL, apart from all sessions.

The parsers are C and the text is hostile: what kills or stalls this process kills no session. Requests come on standard
input and answers leave on standard output, of fixed types (:mod:`worker.analysis_messages`), so that even a subverted
analyser can only answer with an :class:`~proxy.sql.facts.Analysis`. It ends when its worker does.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
from collections import OrderedDict
from typing import BinaryIO

import msgspec

from proxy.sql.analysis import analyse
from proxy.sql.catalog import Catalog
from proxy.sql.facts import Analysis
from worker.analysis_messages import HEAD, MAX_CATALOGS, Ask, Hold

_MEMORY = 2 << 30


def main() -> None:
    _confine()
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Whatever a library prints must not end up between answers.
    os.dup2(2, 1)
    decoder = msgspec.msgpack.Decoder(Hold | Ask)
    catalogs: OrderedDict[str, Catalog] = OrderedDict()
    while (message := _read(requests)) is not None:
        answer = msgspec.msgpack.encode(_handle(decoder.decode(message), catalogs))
        answers.write(HEAD.pack(len(answer)) + answer)
        answers.flush()


def _handle(message: Hold | Ask, catalogs: OrderedDict[str, Catalog]) -> Analysis:
    try:
        if isinstance(message, Ask):
            return analyse(message.request, catalogs.get(message.request.catalog_digest))
        catalogs[message.digest] = Catalog.load(message.rows)
        while len(catalogs) > MAX_CATALOGS:
            catalogs.popitem(last=False)
        return Analysis()
    except Exception as error:
        # Its text may quote the statement; the class is enough to say that nothing is known about it.
        return Analysis(problem=f"the analysis failed ({type(error).__name__})")


def _read(stream: BinaryIO) -> bytes | None:
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    (length,) = HEAD.unpack(head)
    body = stream.read(length)
    return body if len(body) == length else None


def _confine() -> None:
    """No core dump (it would hold SQL), bounded memory, and no death by a signal meant for the worker."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    main()
