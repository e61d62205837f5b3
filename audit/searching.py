"""What people type to find a statement, as a query on the words of its text.

    orders customers        both words, in any order and in any case
    crm.orders              these words next to each other, whatever stands between them
    cust*                   words that begin so
    "o.id = 7"              exactly these characters
    -customers              not this word

Only the index of words is needed for any of it, so that it is as fast on every PostgreSQL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from django.contrib.postgres.search import SearchQuery
from django.db.models import Q

_TERM = re.compile(r'(-?)"([^"]*)"?|(-?)(\S+)')
_WORD = re.compile(r"[^\W_]+")
LONGEST = 500  # characters of a query


class Unsearchable(ValueError):
    """A query that cannot find anything; the message says what would."""


@dataclass(slots=True)
class _Query:
    words: list[SearchQuery] = field(default_factory=list)
    exact: Q = field(default_factory=Q)


def condition(text: str) -> Q:
    """The condition on statements that a query stands for. Raises Unsearchable."""
    if len(text) > LONGEST:
        raise Unsearchable(f"At most {LONGEST} characters can be searched for.")
    query = _Query()
    for no, phrase, not_, word in _TERM.findall(text.replace("\0", " ")):
        _add(query, phrase or word.lstrip("-"), exactly=bool(phrase), without=bool(no or not_))
    if not query.words:
        raise Unsearchable("There is no letter or digit in this: only words can be searched for.")
    whole = query.words[0]
    for each in query.words[1:]:
        whole = whole & each
    return Q(words=whole) & query.exact


def _add(query: _Query, term: str, *, exactly: bool, without: bool) -> None:
    words = _WORD.findall(term)
    if not words:
        if exactly:
            raise Unsearchable(f"“{term}” holds no letter or digit: exact characters are found by a word among them.")
        return
    if exactly and not without:
        query.exact &= Q(sql__contains=term)
        # The first and the last word may be cut; what lies between is whole.
        found = _next_to_each_other(words, beginning=not term[-1].isspace())
    else:
        found = _next_to_each_other(words, beginning=term.endswith("*"))
    query.words.append(~found if without else found)


def _next_to_each_other(words: list[str], *, beginning: bool) -> SearchQuery:
    """The words as a phrase; ``beginning``: the last of them may go on."""
    if not beginning:
        return SearchQuery(" ".join(words), config="simple", search_type="phrase")
    raw = " <-> ".join(f"'{word}'" for word in words)
    return SearchQuery(f"{raw}:*", config="simple", search_type="raw")
