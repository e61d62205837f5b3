from proxy.wire.md5 import md5_password


def test_md5_is_what_the_manual_says() -> None:
    # concat("md5", md5(concat(md5(concat(password, username)), random-salt)))
    assert md5_password("u", "p", b"abcd") == b"md5fa55bd30a96b8d5bd8215eee7c50a918"
