from proxy.wire.conditions import CONDITIONS, condition


def test_names() -> None:
    assert condition("23505") == "unique violation"
    assert condition("22P02") == "invalid text representation"
    assert condition("22ZZZ") == "data exception"  # of the class
    assert condition("ZZ999") == "SQLSTATE ZZ999"
    assert len(CONDITIONS) > 250
    assert all(len(state) == 5 and name.replace("_", "").isalnum() for state, name in CONDITIONS.items())
