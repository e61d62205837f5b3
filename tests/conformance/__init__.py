"""Other people's test suites, run directly on PostgreSQL and through a worker whose policy allows everything: no difference may be seen.

`run.py` is `make conformance`; `suites/` has a file per suite; `test_conformance.py` is the quick selection that belongs to `make test`.
"""
