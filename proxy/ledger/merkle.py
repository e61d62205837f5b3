"""The Merkle tree of RFC 9162, 2.1 (that of RFC 6962) over leaf hashes: root, inclusion and consistency proofs.

The checking half lives in :mod:`proxy.ledger.verify`, which must run alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from proxy.ledger.verify import node_hash, verify_consistency, verify_inclusion

__all__ = ["Tree", "consistency_proof", "inclusion_proof", "root", "verify_consistency", "verify_inclusion"]

EMPTY_ROOT = hashlib.sha256(b"").digest()


class Tree:
    """A growing tree that keeps the hash of every complete subtree, so that a proof costs O(log² n)."""

    def __init__(self, hashes: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [[]]  # _levels[k][i]: leaves i·2^k up to (i + 1)·2^k
        for leaf in hashes:
            self.append(leaf)

    def __len__(self) -> int:
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """``leaf``: a leaf hash, 32 bytes."""
        level = 0
        self._levels[0].append(leaf)
        while len(self._levels[level]) % 2 == 0:
            if level + 1 == len(self._levels):
                self._levels.append([])
            self._levels[level + 1].append(node_hash(*self._levels[level][-2:]))
            level += 1

    def root(self, size: int | None = None) -> bytes:
        """The root of the first ``size`` leaves (all, if not given). Raises ValueError if there are not so many."""
        return self._hash(0, self._checked(size))

    def inclusion_proof(self, index: int, size: int | None = None) -> list[bytes]:
        """The audit path of leaf ``index`` in the tree of the first ``size`` leaves (2.1.3.1). Raises ValueError."""
        end = self._checked(size)
        if not 0 <= index < end:
            raise ValueError(f"no leaf {index} in a tree of {end}")
        start, path = 0, []
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                path.append(self._hash(middle, end))
                end = middle
            else:
                path.append(self._hash(start, middle))
                start = middle
        return path[::-1]

    def consistency_proof(self, first: int, size: int | None = None) -> list[bytes]:
        """Proof that the first ``first`` leaves begin the tree of the first ``size`` (2.1.4.1). Raises ValueError."""
        end = self._checked(size)
        if not 0 < first <= end:
            raise ValueError(f"no tree of {first} leaves begins one of {end}")
        start, path = 0, []
        while first < end:
            middle = start + _split(end - start)
            if first <= middle:
                path.append(self._hash(middle, end))
                end = middle
            else:
                path.append(self._hash(start, middle))
                start = middle
        # The old root itself is known to whoever asks, unless it is only a part of the old tree.
        return ([self._hash(start, end)] if start else []) + path[::-1]

    def _checked(self, size: int | None) -> int:
        end = len(self) if size is None else size
        if not 0 <= end <= len(self):
            raise ValueError(f"the tree has {len(self)} leaves, not {end}")
        return end

    def _hash(self, start: int, end: int) -> bytes:
        """MTH of the leaves from ``start`` up to ``end``; ``start`` is a multiple of the range's largest subtree."""
        if start == end:
            return EMPTY_ROOT
        width = end - start
        level = width.bit_length() - 1
        if width == 1 << level:
            return self._levels[level][start >> level]
        middle = start + _split(width)
        return node_hash(self._hash(start, middle), self._hash(middle, end))


def root(hashes: Sequence[bytes]) -> bytes:
    """The root over leaf hashes; of none, the hash of the empty string."""
    return Tree(hashes).root()


def inclusion_proof(hashes: Sequence[bytes], index: int) -> list[bytes]:
    return Tree(hashes).inclusion_proof(index)


def consistency_proof(hashes: Sequence[bytes], first: int) -> list[bytes]:
    return Tree(hashes).consistency_proof(first)


def _split(width: int) -> int:
    """The largest power of two that is smaller than ``width``."""
    return 1 << ((width - 1).bit_length() - 1)
