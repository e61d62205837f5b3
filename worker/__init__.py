"""The proxy worker: the one place that performs I/O for the core, and decides nothing.

::

    __main__ ── supervisor ──▶ process (one per core; everything below is built there)
                                 ├── listener ── connection ── upstream     the bytes of one session
                                 ├── recorder ── spool ── shipper           what happened, durable before it happens
                                 ├── bundles · catalogs · analysis_pool     what the core reads to decide
                                 ├── approvals · tokens                     questions that others answer
                                 └── control ── identity                    how the control plane knows us

State of a session lives in :class:`proxy.session.session.Session`; state of a process in the object that
``worker/process.py`` builds. Nothing lives at module level.
"""

VERSION = "0.1.0"
