"""The Merkle tree against the RFC's own words, known roots, and every way to bend a proof."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.ledger import merkle
from proxy.ledger.verify import leaf_hash

# The inputs and roots that certificate transparency implementations are tested with.
LEAVES = [
    bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)

sizes = st.integers(min_value=1, max_value=70)


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(count)]


def naive_root(hashes: list[bytes]) -> bytes:
    """MTH of RFC 9162, 2.1.1, word for word."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return hashlib.sha256(b"\x01" + naive_root(hashes[:split]) + naive_root(hashes[split:])).digest()


def test_known_roots() -> None:
    hashes = [leaf_hash(leaf) for leaf in LEAVES]
    for count, expected in enumerate(ROOTS, start=1):
        assert merkle.root(hashes[:count]).hex() == expected


def test_known_proofs() -> None:
    hashes = [leaf_hash(leaf) for leaf in LEAVES]
    assert [step.hex() for step in merkle.inclusion_proof(hashes, 5)] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    assert [step.hex() for step in merkle.consistency_proof(hashes, 6)] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_root_of_nothing_is_the_hash_of_nothing() -> None:
    assert merkle.root([]) == hashlib.sha256(b"").digest()


@given(sizes)
def test_root_is_the_naive_one(size: int) -> None:
    assert merkle.root(leaves(size)) == naive_root(leaves(size))


@settings(max_examples=60, deadline=None)
@given(sizes, st.data())
def test_every_leaf_of_every_size_proves(size: int, data: st.DataObject) -> None:
    tree = merkle.Tree(leaves(70))
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    proof = tree.inclusion_proof(index, size)
    root = naive_root(leaves(size))
    leaf = leaves(size)[index]
    assert merkle.verify_inclusion(leaf, index, size, proof, root)
    for wrong in {0, index - 1, index + 1, size - 1} - {index}:
        assert not merkle.verify_inclusion(leaf, wrong, size, proof, root)
    assert not merkle.verify_inclusion(leaf_hash(b"other"), index, size, proof, root)
    assert not merkle.verify_inclusion(leaf, index, size, [*proof, root], root)
    if proof:
        assert not merkle.verify_inclusion(leaf, index, size, proof[:-1], root)
        assert not merkle.verify_inclusion(leaf, index, size, [proof[-1], *proof[1:-1], proof[0][::-1]], root)


@settings(max_examples=60, deadline=None)
@given(sizes, st.data())
def test_every_older_tree_is_proved_consistent(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(min_value=1, max_value=size))
    hashes = leaves(size)
    proof = merkle.Tree(leaves(70)).consistency_proof(first, size)
    old, new = naive_root(hashes[:first]), naive_root(hashes)
    assert merkle.verify_consistency(first, size, proof, old, new)
    forged = naive_root([leaf_hash(b"other"), *hashes[1:first]])
    assert not merkle.verify_consistency(first, size, proof, forged, new)
    assert not merkle.verify_consistency(first, size, [*proof, new], old, new)
    if first < size:
        assert not merkle.verify_consistency(first, size, proof, old, forged)
        assert not merkle.verify_consistency(first, size, proof[:-1], old, new)


def test_a_leaf_cannot_pass_for_a_node() -> None:
    left, right = leaves(2)
    assert leaf_hash(left + right) != merkle.root([left, right])


@pytest.mark.parametrize(("first", "second"), [(0, 3), (4, 3), (-1, 3)])
def test_impossible_sizes_are_not_consistent(first: int, second: int) -> None:
    root = merkle.root(leaves(3))
    assert not merkle.verify_consistency(first, second, [], root, root)


def test_asking_beyond_the_tree_is_an_error() -> None:
    tree = merkle.Tree(leaves(3))
    for ask in (lambda: tree.root(4), lambda: tree.inclusion_proof(3), lambda: tree.inclusion_proof(-1), lambda: tree.consistency_proof(0)):
        with pytest.raises(ValueError, match="3"):
            ask()
