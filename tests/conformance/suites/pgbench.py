"""pgbench in its modes: each protocol, a connection for each transaction, built-in scripts, and scripts with pipelines."""

import re
from pathlib import Path

from tests.conformance.sides import Side, programs
from tests.conformance.suite import FAILED, PASSED, Outcomes, logged, plain_environment

_SCRIPTS = {
    "pipeline": "\\startpipeline\nSELECT 1;\nSELECT abalance FROM pgbench_accounts WHERE aid = 7;\n"
    "UPDATE pgbench_branches SET bbalance = bbalance + 1 WHERE bid = 1;\n\\endpipeline\n",
    "two pipelines in a transaction": "BEGIN;\n\\startpipeline\nSELECT 1;\nSELECT 2;\n\\endpipeline\n\\startpipeline\n"
    "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, 1, 0, now());\n\\endpipeline\nCOMMIT;\n",
    "gset": "SELECT 1 AS one, 2 AS two \\gset\nSELECT :one + :two;\n",
    "several statements in one Query": "SELECT 3 AS x \\; SELECT 4 AS y \\aset\nSELECT :x + :y;\n",
}
_PROTOCOLS = {
    "pipeline": ("extended", "prepared"),
    "two pipelines in a transaction": ("extended", "prepared"),
    "several statements in one Query": ("simple",),
}


class Pgbench:
    name = "pgbench"
    versions = (15, 18)
    databases = ()

    def __init__(self, transactions: int = 50) -> None:
        self._transactions = transactions  # of each of four clients

    def prepare(self) -> None: ...

    def run(self, side: Side, directory: Path) -> Outcomes:
        program = [str(programs(side.version) / "pgbench")]
        environment = plain_environment() | side.libpq("postgres")
        outcomes: Outcomes = {}

        def attempt(name: str, *options: str, transactions: int = 0) -> None:
            log = directory / f"{name}.log"
            code = logged([*program, *options], log, environment, seconds=120)
            count = f"number of transactions actually processed: {transactions}/{transactions}"
            done = not transactions or (count in log.read_text() and not re.search(r"failed transactions: [1-9]", log.read_text()))
            outcomes[name] = PASSED if code == 0 and done else FAILED

        attempt("initialise", "-i", "-q")
        attempt("initialise on the server, partitioned", "-i", "-q", "-I", "dtGvpf", "--partitions=3", "--foreign-keys")
        for protocol in ("simple", "extended", "prepared"):
            for script in ("tpcb-like", "select-only", "simple-update"):
                options = ("-n", "-c", "4", "-j", "2", "-t", str(self._transactions), "-M", protocol, "-b", script)
                attempt(f"{script} {protocol}", *options, transactions=4 * self._transactions)
                attempt(f"{script} {protocol} -C", "-C", *options, transactions=4 * self._transactions)
            for script, text in _SCRIPTS.items():
                if protocol in _PROTOCOLS.get(script, (protocol,)):
                    file = directory / f"{script}.sql"
                    file.write_text(text)
                    options = ("-n", "-c", "4", "-j", "2", "-t", str(self._transactions), "-M", protocol, "-f", str(file))
                    attempt(f"{script} {protocol}", *options, transactions=4 * self._transactions)
        return outcomes
