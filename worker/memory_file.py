"""Files that exist in this process's memory only: OpenSSL and libpq read private keys from nothing but files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def in_memory(text: str) -> Iterator[str]:
    """A path at which this process, and nobody below it, finds ``text`` while the context lasts (memfd_create(2))."""
    with open(os.memfd_create("pem"), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)  # libpq refuses a key that others might read
        file.write(text)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"
