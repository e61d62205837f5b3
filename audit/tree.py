"""The Merkle tree's right edge (RFC 9162 §2.1): enough to add leaves and know the root, without reading the leaves again.

The edge of a tree of n leaves is the list of its perfect subtrees, largest first: one for each bit set in n.
"""

from __future__ import annotations

from collections.abc import Iterable

from proxy.ledger.merkle import EMPTY_ROOT
from proxy.ledger.verify import node_hash


def extend(edge: list[bytes], size: int, leaves: Iterable[bytes]) -> tuple[list[bytes], int]:
    """The edge and the size after adding leaf hashes (32 bytes each) to a tree of ``size`` leaves."""
    grown = list(edge)
    for leaf in leaves:
        node, full = leaf, size
        while full & 1:  # a perfect subtree of the same height stands to the left: merge
            node, full = node_hash(grown.pop(), node), full >> 1
        grown.append(node)
        size += 1
    return grown, size


def root(edge: list[bytes]) -> bytes:
    """The tree's root hash, 32 bytes."""
    if not edge:
        return EMPTY_ROOT
    node = edge[-1]
    for left in reversed(edge[:-1]):
        node = node_hash(left, node)
    return node
