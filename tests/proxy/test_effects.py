import typing

from proxy import effects


def test_the_union_names_every_effect() -> None:
    classes = {value for value in vars(effects).values() if isinstance(value, type) and value.__module__ == effects.__name__}
    assert set(typing.get_args(effects.Effect)) == classes


def test_a_token_never_shows() -> None:
    assert "secret" not in repr(effects.CheckToken("secret"))
    assert "secret" not in str([effects.CheckToken("secret")])
