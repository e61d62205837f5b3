"""Speaks the protocol of ``worker.analysis_process`` and misbehaves as the statement says."""

import os
import sys
import time

import msgspec

from proxy.sql.facts import Analysis
from worker.analysis_messages import HEAD, Ask, Hold


def main() -> None:
    decoder = msgspec.msgpack.Decoder(Hold | Ask)
    held: list[str] = []
    while head := sys.stdin.buffer.read(HEAD.size):
        message = decoder.decode(sys.stdin.buffer.read(HEAD.unpack(head)[0]))
        if isinstance(message, Hold):
            held.append(message.digest)
            answer = Analysis()
        else:
            match message.request.sql:
                case "hang":
                    time.sleep(60)
                case "die":
                    os.kill(os.getpid(), 11)
                case "nonsense":
                    sys.stdout.buffer.write(HEAD.pack(3) + b"\xc1\xc1\xc1")
                    sys.stdout.buffer.flush()
                    continue
                case "pause":
                    time.sleep(0.3)
            answer = Analysis(problem=f"{os.getpid()} {','.join(held)} {sorted(os.environ)}")
        body = msgspec.msgpack.encode(answer)
        sys.stdout.buffer.write(HEAD.pack(len(body)) + body)
        sys.stdout.buffer.flush()


main()
