"""The md5 password method, which targets up to PostgreSQL 18 may still ask for (manual, 55.2.1)."""

from __future__ import annotations

import hashlib


def md5_password(user: str, password: str, salt: bytes) -> bytes:
    """``"md5" + md5(md5(password + user) + salt)``; ``salt`` is the 4 bytes of AuthenticationMD5Password."""
    inner = hashlib.md5(password.encode() + user.encode(), usedforsecurity=False).hexdigest()
    return b"md5" + hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest().encode()
