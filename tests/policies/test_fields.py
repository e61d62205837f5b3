from __future__ import annotations

from policies.fields import LinesField


def test_lines() -> None:
    field = LinesField()
    assert field.clean(" a \r\n\r\nb\n") == ["a", "b"]
    assert field.clean("") == []
    assert field.prepare_value(["a", "b"]) == "a\nb"
    assert field.prepare_value("typed\n") == "typed\n"
    assert not field.has_changed(["a", "b"], "a\nb\n")
    assert field.has_changed(None, "a")
