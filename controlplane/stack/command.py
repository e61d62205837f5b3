"""`manage.py stack`: the arguments, and errors as one line. Runs before Django is set up, because it makes the secrets."""

import argparse
import sys
from pathlib import Path

from controlplane.stack import supervisor
from controlplane.stack.account import AccountError
from controlplane.stack.postgres import EngineMissing
from controlplane.stack.process import StartError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    argument = parser.add_argument
    argument("--dir", type=Path, required=True, metavar="DIR", help="everything of this stack is kept here")
    argument("--policy", type=Path, metavar="FILE", help="policy file to apply at the start")
    argument("--control-port", type=port, default=0, metavar="N", help="of the web pages and the REST interface")
    argument("--proxy-port", type=port, default=0, metavar="N", help="where agents connect; ports not given: the last ones, else free ones")
    argument("--processes", type=count, default=1, metavar="N", help="proxy worker processes")
    argument("--ready-file", type=Path, metavar="F", help="JSON written here when everything is ready, removed when it stops")


def port(text: str) -> int:
    return _whole_number(text, 0, 65_535)


def count(text: str) -> int:
    return _whole_number(text, 1, 1_000)


def _whole_number(text: str, least: int, most: int) -> int:
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from {least} to {most}")
    return int(text)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="manage.py stack", description="Run the whole product in the foreground.")
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def run(arguments: argparse.Namespace) -> int:
    options = supervisor.Options(
        directory=arguments.dir,
        policy=arguments.policy,
        control_port=arguments.control_port,
        proxy_port=arguments.proxy_port,
        processes=arguments.processes,
        ready_file=arguments.ready_file,
    )
    try:
        return supervisor.run(options, say)
    except (StartError, EngineMissing, AccountError) as problem:
        text = str(problem)
    except OSError as problem:
        text = f"{problem.filename}: {problem.strerror}" if problem.filename else str(problem)
    except Exception as problem:
        from django.core.management import CommandError  # Django is loaded by now, if it ever is

        from controlplane.command_line import mistake

        text = str(problem) if isinstance(problem, CommandError) else mistake(problem)
        if not text:
            raise
    print(f"stack: {text}", file=sys.stderr)
    return 1


def say(text: str) -> None:
    print(text, flush=True)
