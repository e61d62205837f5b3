"""The Merkle tree's right edge (RFC 6962 §2.1): enough to add leaves and know the root, without reading the leaves again.

The edge of a tree of n leaves is the list of its perfect subtrees, largest first: one for each bit set in n.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def extend(frontier: list[bytes], size: int, leaves: Iterable[bytes]) -> tuple[list[bytes], int]:
    """The edge and the size after adding leaf hashes (32 bytes each) to a tree of ``size`` leaves."""
    edge = list(frontier)
    for leaf in leaves:
        node, full = leaf, size
        while full & 1:  # a perfect subtree of the same height stands to the left: merge
            node, full = _node(edge.pop(), node), full >> 1
        edge.append(node)
        size += 1
    return edge, size


def root(frontier: list[bytes]) -> bytes:
    """The tree's root hash, 32 bytes."""
    if not frontier:
        return sha256(b"").digest()
    node = frontier[-1]
    for left in reversed(frontier[:-1]):
        node = _node(left, node)
    return node
