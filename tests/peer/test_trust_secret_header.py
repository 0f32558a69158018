"""`Trust.secret_header`: once, whole, and only while its file says so."""

import os

import pytest

from tokenbind import ConfigurationError, Reason, Unavailable
from tokenbind.peer import Trust

from .forwarding import HEADER, preset
from .trusting import ask_with, untrusted, ways


def test_a_secret(secret, client, field):
    """Once, whole, under its own name; in each way, whatever the server tells of its connections."""
    source = preset("nginx", Trust.secret_header("X-Proxy-Secret", file=secret))
    good = (b"x-proxy-secret", b"a" * 32)
    for ask in ways(source, field, good, peer=None):
        assert client.thumbprint == ask().thumbprint
    assert {b"x-proxy-secret", HEADER.lower().encode()} == source.hidden_headers
    for wrong in (b"", b"a" * 31, b"a" * 33, b"A" * 32, b" " + b"a" * 32, b"\xff" * 32, b"a" * 32 + b"," + b"a" * 32):
        untrusted(ask_with(source, wrong))
    untrusted(ask_with(source))
    untrusted(ask_with(source, b"a" * 32, b"a" * 32))
    untrusted(lambda: source.from_request([(b"X_Proxy_Secret", b"a" * 32)]))
    untrusted(lambda: source.from_request([good, (b"X_Proxy_Secret", b"a" * 32)]))
    for ask in ways(source, field, peer=("10.0.0.1", 1)):
        assert "and yet it has the header" in untrusted(ask)
    untrusted(lambda: source.from_environ({"HTTP_X_PROXY_SECRET": "\u0100"}))
    untrusted(lambda: source.from_environ({"HTTP_X_PROXY_SECRET": b"a" * 32}))


def test_a_secret_changes(secret):
    """Two are good while it changes; then the old one is none."""
    source = preset("nginx", Trust.secret_header("X-Proxy-Secret", file=secret))
    old, new = ask_with(source, b"a" * 32), ask_with(source, b"b" * 40)
    old()
    untrusted(new)
    for content, good, bad in ((f"{'a' * 32}\n{'b' * 40}\n", [old, new], []), ("b" * 40, [new], [old])):
        fresh = secret.with_suffix(".new")
        fresh.write_text(content)
        fresh.replace(secret)
        for ask in good * 2:
            ask()
        for ask in bad:
            untrusted(ask)


def test_a_secret_that_is_written_in_place(secret):
    """With the size and, set back, the time of the old one: archives, images and `cp -p` do so."""
    source = preset("nginx", Trust.secret_header("X-Proxy-Secret", file=secret))
    old, new, before = ask_with(source, b"a" * 32), ask_with(source, b"b" * 32), secret.stat()
    old()
    while secret.stat().st_ctime_ns == before.st_ctime_ns:  # the clock of a file system is a coarse one
        with secret.open("r+b") as stream:
            stream.write(b"b" * 32)
        os.utime(secret, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = secret.stat()
    assert (before.st_mtime_ns, before.st_size, before.st_ino) == (after.st_mtime_ns, after.st_size, after.st_ino)
    new()
    untrusted(old)


def unreadable(ask):
    with pytest.raises(Unavailable, match="cannot be read") as refusal:
        ask()
    assert Reason.CERTIFICATE_SOURCE_MISSING == refusal.value.reason
    return str(refusal.value)


def test_a_secret_that_cannot_be_read(secret):
    """Nobody is trusted while it cannot: it may have been taken away. Then it is good again."""
    source = preset("nginx", Trust.secret_header("X-Proxy-Secret", file=secret))
    ask = ask_with(source, b"a" * 32)
    kept = secret.rename(secret.with_suffix(".kept"))
    for _ in range(2):
        unreadable(ask)
    secret.write_text("short")
    assert "short" not in unreadable(ask)
    kept.replace(secret)
    ask()
    os.utime(secret, ns=(1, 1))
    ask()


@pytest.mark.parametrize(
    "content",
    ["", "a" * 31, "\n\n", "a" * 32 + "\n" + "b" * 31, "\n".join("abc"[at] * 32 for at in range(3)), "é" * 32],
)
def test_secrets_that_cannot_be(secret, content):
    secret.write_text(content)
    with pytest.raises(ConfigurationError) as error:
        Trust.secret_header("X-Proxy-Secret", file=secret)
    assert not content.strip() or content not in str(error.value)


def test_secret_headers_that_cannot_be(secret):
    for name in ("X_Proxy_Secret", "", "Authorization", None):
        with pytest.raises(ConfigurationError):
            Trust.secret_header(name, file=secret)
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Trust.secret_header("X-Proxy-Secret", file=secret.with_suffix(".missing"))
    with pytest.raises(ConfigurationError, match="same name"):
        preset("nginx", Trust.secret_header("x-k7qd2-cert", file=secret))


def test_a_secret_that_is_a_pipe(secret):
    """It would be waited for, by every request: not taken at first, and refused if it comes later."""
    ask = ask_with(preset("nginx", Trust.secret_header("X-Proxy-Secret", file=secret)), b"a" * 32)
    ask()
    secret.unlink()
    os.mkfifo(secret)
    unreadable(ask)
    with pytest.raises(ConfigurationError, match="no regular file"):
        Trust.secret_header("X-Proxy-Secret", file=secret)
