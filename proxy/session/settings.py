"""The settings of a StartupMessage: which of them go to the target, and what ``options`` says.

A setting given at start-up is a SET that no rule sees: only those that change how values look or how long things take
are passed on. Anything else is refused by name, rather than dropped in silence. Where no decision depends on what a
statement says, the target gets them all, as they came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.errors import Refusal

PASSED_ON = frozenset(
    "application_name array_nulls bytea_output client_encoding client_min_messages datestyle default_text_search_config "
    "default_transaction_deferrable default_transaction_isolation default_transaction_read_only extra_float_digits geqo "
    "idle_in_transaction_session_timeout idle_session_timeout intervalstyle jit lc_monetary lc_numeric lc_time lock_timeout search_path "
    "statement_timeout timezone transaction_timeout work_mem xmlbinary xmloption".split()
)
RUN = "tidegate.run"
_PROTOCOL = frozenset({"user", "database", "options", "replication"})  # of the StartupMessage itself, not settings


@dataclass(frozen=True, slots=True)
class Settings:
    passed_on: dict[str, str]
    run: str = ""


def unread(parameters: Mapping[str, str]) -> dict[str, str]:
    """What a target gets that is to judge the settings itself: all of them, ``options`` as it came."""
    return {
        name: value for name, value in parameters.items() if name not in _PROTOCOL - {"options"} and not name.startswith("_pq_.")
    }


def read(parameters: Mapping[str, str]) -> Settings | Refusal:
    """The settings among the parameters of a StartupMessage and in its ``options``."""
    given = {name: value for name, value in unread(parameters).items() if name not in _PROTOCOL}
    from_options = _options(parameters.get("options", ""))
    if isinstance(from_options, Refusal):
        return from_options
    given = {**from_options, **given}
    run = given.pop(RUN, "")
    for name in given:
        if name.lower() not in PASSED_ON:
            reason = f'setting "{name}" cannot be given at start-up through this gateway'
            return Refusal("42501", reason, hint="Use SET after connecting, if the policy allows it.", fatal=True)
    return Settings(given, run)


def _options(text: str) -> dict[str, str] | Refusal:
    """``-c name=value`` and ``--name=value``, as the server reads them."""
    words = _split(text)
    found: dict[str, str] = {}
    while words:
        word = words.pop(0)
        if word == "-c" and words:
            word = words.pop(0)
        elif word.startswith("-c"):
            word = word[2:]
        elif word.startswith("--"):
            word = word[2:].replace("-", "_", word.partition("=")[0].count("-"))
        else:
            return Refusal("42601", f'option "{word}" is not supported by this gateway', hint="Use -c name=value.", fatal=True)
        name, equals, value = word.partition("=")
        if not name or not equals:
            return Refusal("42601", f'option "{word}" needs a value', fatal=True)
        found[name] = value
    return found


def _split(text: str) -> list[str]:
    """Words separated by white space; a backslash takes the next character as it is."""
    words: list[str] = []
    current: list[str] | None = None
    characters = iter(text)
    for character in characters:
        if character.isspace():
            if current is not None:
                words.append("".join(current))
            current = None
            continue
        current = [] if current is None else current
        current.append(next(characters, "") if character == "\\" else character)
    if current is not None:
        words.append("".join(current))
    return words


def is_true(text: str) -> bool:
    """Whether ``replication`` asks for it; anything that is not plainly off does."""
    return text.lower() not in ("", "false", "off", "no", "0", "f", "n")
