from proxy.session.pending import Expected, Kind, Pending, Undo


def queue(*kinds: Kind) -> Pending:
    pending = Pending()
    for kind in kinds:
        pending.push(Expected(kind))
    return pending


def kinds(pending: Pending) -> list[Kind]:
    return [expected.kind for expected in pending]


def test_boundaries_count_what_ready_for_query_will_answer() -> None:
    pending = queue(Kind.PARSE, Kind.SYNC, Kind.QUERY)
    assert pending.boundaries == 2
    pending.pop()
    pending.pop()
    assert pending.boundaries == 1


def test_failure_drops_up_to_the_sync_and_skips_queries_too() -> None:
    pending = queue(Kind.PARSE, Kind.BIND, Kind.QUERY, Kind.SYNC, Kind.PARSE)
    assert [e.kind for e in pending.fail()] == [Kind.PARSE, Kind.BIND, Kind.QUERY]
    assert kinds(pending) == [Kind.SYNC, Kind.PARSE]
    assert pending.boundaries == 1


def test_failure_without_a_sync_drops_everything() -> None:
    pending = queue(Kind.PARSE, Kind.BIND)
    pending.fail()
    assert pending.head is None


def test_names_are_put_back_in_reverse_order() -> None:
    names: dict[bytes, object] = {b"s": "third"}
    pending = Pending()
    pending.push(Expected(Kind.CLOSE, undo=Undo(names, b"s", "first")))
    pending.push(Expected(Kind.PARSE, undo=Undo(names, b"s", None)))
    pending.push(Expected(Kind.PARSE, undo=Undo(names, b"t", None)))
    names[b"t"] = "new"
    pending.fail()
    assert names == {b"s": "first"}


def test_copy_in_takes_away_the_syncs_before_the_end_of_its_data() -> None:
    pending = queue(Kind.EXECUTE, Kind.SYNC, Kind.COPY_END, Kind.SYNC)
    pending.begin_copy_in()
    assert not pending.copying_in
    assert kinds(pending) == [Kind.EXECUTE, Kind.SYNC]
    assert pending.boundaries == 1
    pending = queue(Kind.EXECUTE, Kind.SYNC)
    pending.begin_copy_in()
    assert pending.copying_in
    assert kinds(pending) == [Kind.EXECUTE]
    assert pending.boundaries == 0


def test_what_makes_a_copy_in_fail_has_no_answer_of_its_own() -> None:
    names: dict[bytes, object] = {b"s": "new"}
    pending = queue(Kind.QUERY, Kind.SYNC)
    pending.push(Expected(Kind.PARSE, undo=Undo(names, b"s", "old")))
    pending.push(Expected(Kind.COPY_END))
    pending.begin_copy_in()
    assert not pending.copying_in, "the message behind it ends it"
    swallowed = pending.swallowed_by_copy()
    assert swallowed is not None
    assert swallowed.kind is Kind.PARSE
    assert names == {b"s": "old"}
    assert kinds(pending) == [Kind.QUERY, Kind.COPY_END]
    assert pending.swallowed_by_copy() is None
    pending.copying_in = True
    pending.push(Expected(Kind.QUERY))
    assert not pending.copying_in
