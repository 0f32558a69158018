"""One JSON object from an https URL, or words for what came instead."""

import json

from hypothesis import HealthCheck, example, given, settings, strategies as st
import pytest

from tokenbind.transport import FetchError, fetch, fetch_json


BOUNDS = {"timeout_seconds": 20, "max_bytes": 1000}


def test_an_object_comes_as_it_is(answering, context):
    """Whatever the content type says."""
    url = answering(headers=[("content-type", "text/html")], chunks=(b' {"a": [1, "\xc3\xbc", 1.5, null]}\r\n',))

    assert {"a": [1, "\u00fc", 1.5, None]} == fetch_json(url, context=context, **BOUNDS)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("201 Created", "answered 201"),
        ("302 Found", r"answered 302 \(redirects are not followed\)"),
        ("304 Not Modified", r"answered 304 \(redirects are not followed\)"),
        ("404 Not Found", "answered 404"),
        ("503 Later", "answered 503"),
    ],
)
def test_only_200_is_an_answer(answering, context, status, words):
    """Even with a good object."""
    with pytest.raises(FetchError, match=f"/ {words}$") as caught:
        fetch_json(answering(status), context=context, **BOUNDS)
    assert int(status[:3]) == caught.value.status


HTML = "HTML, not JSON: is this a login page?"
NOT_JSON = "a body that is not JSON"
NOT_STRICT = "a body that is not strict JSON"
NO_OBJECT = "JSON that is not an object"


@pytest.mark.parametrize(
    ("body", "headers", "words"),
    [
        (b"<!DOCTYPE html>", {}, HTML),
        (b"\r\n <html>", {}, HTML),
        (b"Log in", {"content-type": "Text/HTML; charset=utf-8"}, HTML),
        (b"", {}, NOT_JSON),
        (b"Log in", {}, NOT_JSON),
        (b"{} {}", {}, NOT_JSON),
        (b"{'a': 1}", {}, NOT_JSON),
        (b'{"a": 1,}', {}, NOT_JSON),
        (b'\xef\xbb\xbf{"a": 1}', {}, NOT_JSON),
        (b'{"a": "\xff"}', {}, NOT_JSON),
        ('{"a": 1}'.encode("utf-16"), {}, NOT_JSON),
        (b'{"a": NaN}', {}, NOT_STRICT),
        (b'{"a": -Infinity}', {}, NOT_STRICT),
        (b'{"a": 1e999}', {}, NOT_STRICT),
        (b'{"a": {"b": 1, "b": 1}}', {}, NOT_STRICT),
        (rb'{"a": 1, "\u0061": 1}', {}, NOT_STRICT),
        (rb'{"a": "\ud800"}', {}, NOT_STRICT),
        (b'{"a": ' + b"9" * 50_000 + b"}", {}, NOT_STRICT),
        (b"[" * 60_000, {}, NOT_STRICT),
        (b'{"a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", {}, NOT_STRICT),
        (b"[{}]", {}, NO_OBJECT),
        (b"null", {}, NO_OBJECT),
        (b'"a"', {}, NO_OBJECT),
    ],
)
def test_what_is_no_strict_object_is_an_error(answering, context, body, headers, words):
    """And the error quotes nothing of it."""
    url = answering(headers=headers.items(), chunks=(body,))
    with pytest.raises(FetchError) as caught:
        fetch_json(url, context=context, timeout_seconds=20, max_bytes=200_000)
    assert (f"{url} answered 200 with {words}", 200) == (str(caught.value), caught.value.status)


def test_the_bounds_are_those_of_fetch(answering, context):
    """A byte too many, no time, and no https."""
    url = answering(chunks=(b'{"a": 123}',))

    assert {"a": 123} == fetch_json(url, context=context, timeout_seconds=20, max_bytes=10)
    with pytest.raises(FetchError, match="more than 9 bytes"):
        fetch_json(url, context=context, timeout_seconds=20, max_bytes=9)
    with pytest.raises(FetchError, match="did not answer within"):
        fetch_json(url, context=context, timeout_seconds=0, max_bytes=10)
    with pytest.raises(FetchError, match="refusing to fetch"):
        fetch_json(url.replace("https", "http"), context=context, **BOUNDS)


LINES = st.sampled_from(
    rb"""HTTP/1.1 200 OK|HTTP/1.1 100 Continue|HTTP/1.0 204|HTTP/1.1 302 Found|Content-Length: 2|Content-Length: -1
Transfer-Encoding: chunked|Connection: close|Content-Encoding: gzip|Content-Type: text/html; charset=|: x||2|{}|0|-1
 folded""".replace(b"\n", b"|").split(b"|")
)
ANSWERS = (
    st.binary()
    | st.binary().map(b"HTTP/1.1 200 OK\r\n".__add__)
    | st.binary().map(b"HTTP/1.1 200 OK\r\n\r\n".__add__)
    | st.lists(LINES | st.binary(max_size=20)).map(b"\r\n".join)
    | st.lists(LINES).map(lambda lines: b"HTTP/1.1 200 OK\r\n" + b"\r\n".join(lines))
)


def result_of(call):
    """What it returns, or the message of our error."""
    try:
        return call()
    except FetchError as error:
        return str(error)


@pytest.fixture
def replying(tls_listening):
    """A server that says whatever is in a list at that moment; the list and its URL."""
    said = [b""]

    def answer(connection):
        connection.recv(65_536)
        connection.sendall(said[0])

    return said, f"https://127.0.0.1:{tls_listening(answer)}/"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=ANSWERS)
@example(data=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
@example(data=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
def test_any_answer_gives_a_value_or_our_error(replying, context, data):
    """Totality."""
    said, url = replying
    said[0] = data
    response = result_of(lambda: fetch(url, context=context, **BOUNDS))
    value = result_of(lambda: fetch_json(url, context=context, **BOUNDS))

    assert isinstance(response, str) or len(response.body) <= 1000
    assert isinstance(value, str) or isinstance(json.loads(json.dumps(value)), dict)
    assert {True} == {text.isascii() and text.isprintable() for text in (response, value, "") if isinstance(text, str)}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary() | st.lists(LINES).map(lambda lines: b"HTTP/1.1 200 OK\r\n" + b"\r\n".join(lines)))
def test_whatever_is_no_tls_gives_our_error(plainly_replying, context, data):
    """In place of a handshake, and in place of a proxy's answer and the handshake behind it."""
    said, port = plainly_replying
    said[0] = data
    with pytest.raises(FetchError):
        fetch(f"https://127.0.0.1:{port}/", context=context, **BOUNDS)
    with pytest.raises(FetchError):
        fetch("https://as.example/", context=context, **BOUNDS, proxy=f"http://127.0.0.1:{port}")


@pytest.fixture
def plainly_replying(listening):
    """As `replying`, without TLS."""
    said = [b""]

    def answer(connection):
        connection.recv(65_536)
        connection.sendall(said[0])

    return said, listening(answer)
