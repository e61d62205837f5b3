"""The pure core of Tidegate: bytes in, effects out.

A :class:`proxy.session.session.Session` stands for one client connection. Whoever owns the sockets (``worker/``) hands
it :mod:`proxy.events` and performs the :mod:`proxy.effects` that come back, in their order. Nothing in this package
opens a socket, reads a clock, draws a random number or looks at the environment: time and entropy arrive as arguments.
That is why every dialogue with a client, a server or an approver can be replayed in a test, byte by byte.

==============  ======================================================================================
``wire/``       the PostgreSQL protocol, version 3: framing, messages, SCRAM, scalar values
``sql/``        what a statement is and touches (facts), and the scan masking of relations
``policy/``     the compiled policy bundle, the engine that decides, the masks
``session/``    one client connection: start-up, relay, queue of expected replies, hold, transform
``ledger/``     audit entries, hash chain, Merkle tree, checkpoints, and the stand-alone verifier
==============  ======================================================================================
"""
