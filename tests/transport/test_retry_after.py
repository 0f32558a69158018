"""`Retry-After`, of those that are busy."""

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

from hypothesis import given, strategies as st
import pytest

from tokenbind.transport import FetchError, fetch_json
from tokenbind.transport.retry_after import read_retry_after


def read(value, status=503):
    """What is made of it."""
    return read_retry_after(status, {"retry-after": value})


def test_seconds():
    """RFC 9110 §10.2.3, of 429 and 503 alone."""
    assert [0, 5, 21600, 1e20] == [read("0"), read("5", 429), read("21600"), read("1" + 20 * "0")]
    assert [None, None, None] == [read("5", status) for status in (200, 401, 502)]
    assert None is read_retry_after(503, {})


def test_a_date():
    """In UTC, whatever else it says of that; one that is past is now."""
    now = datetime.now(timezone.utc)
    assert 90 < read(format_datetime(now + timedelta(seconds=100), usegmt=True)) <= 100
    assert 90 < read((now + timedelta(seconds=100)).strftime("%A, %d-%b-%y %H:%M:%S GMT")) <= 100
    assert 90 < read((now + timedelta(seconds=100)).strftime("%a, %d %b %Y %H:%M:%S -0000")) <= 100
    assert 0 == read("Sun, 06 Nov 1994 08:49:37 GMT")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-5",
        "5.5",
        "5, 6",
        "soon",
        "9" * 5000,
        "\u0665",
        "Sun, 99 Nov 9999 99:99:99 GMT",
        "Sun, 06 Nov 0 0:0:0 +9999",
    ],
)
def test_anything_else_says_nothing(value):
    """Lists, fractions, other digits."""
    assert None is read(value)


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,6} \d+:\d+:\d+ (GMT|[+-]\d+)"))
def test_any_text_gives_seconds_or_nothing(value):
    """Totality."""
    assert read(value) is None or read(value) >= 0


def test_a_document_that_is_not_there_yet(answering, context):
    """A server that is busy says so of its metadata, too."""
    url = answering("503 Later", [("retry-after", "7")])
    with pytest.raises(FetchError, match="answered 503") as caught:
        fetch_json(url, context=context, timeout_seconds=20, max_bytes=9)
    assert 7 == caught.value.retry_after_seconds
