"""PostgreSQL's regression SQL through the analysis: `run.py` is `make regress-analysis`."""
