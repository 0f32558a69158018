"""The strict reader of compact JWTs, and of the JSON in them."""

from base64 import urlsafe_b64encode
import json

from hypothesis import given, strategies as st
import pytest

from tokenbind import InvalidToken, Reason
from tokenbind.tokens.compact import (
    CompactToken,
    Header,
    base64url,
    read_base64url,
    read_compact,
    read_header,
    read_json_object,
)


def refusal(read, value):
    with pytest.raises(InvalidToken) as caught:
        read(value)
    return caught.value.reason


def segment(text):
    return base64url(text if isinstance(text, bytes) else text.encode())


@given(st.binary(min_size=1))
def test_base64url_round_trip(data):
    """Property: what is encoded is what the standard library writes, without padding, and is read back."""
    assert urlsafe_b64encode(data).rstrip(b"=") == base64url(data)
    assert data == read_base64url(base64url(data))


base64_like = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/= \n", max_size=12)


@given(st.one_of(st.binary(), base64_like.map(str.encode)))
def test_base64url_has_one_spelling(text):
    """Property: what is read is the canonical spelling; every other one is refused with our own error."""
    try:
        data = read_base64url(text)
    except InvalidToken:
        return
    assert text == base64url(data)


# fmt: off
OTHER_SPELLINGS = [
    b"", b"A", b"YQ==", b"YQ=", b"YR", b"YWI=", b"YWJ", b"YWJj\n", b" YWJj", b"YW Jj", b"+-__", b"//__", b"YWJ!",
    b"YWJj\0", b"\xff\xfe\xfd\xfc",
]
NO_COMPACT_JWS = [
    b"", b".", b"YQ", b"YQ.YQ", b"YQ.YQ.YQ.YQ", b"YQ.YQ.YQ.", b"a.b.c.d.e", b"...", b".YQ.YQ.",
    b'{"payload":"YQ"}',
]
# fmt: on


@pytest.mark.parametrize("spelling", OTHER_SPELLINGS)
def test_other_spellings_of_base64url(spelling):
    """Attack 58: padding, white space, spare bits and the other alphabet, which Python's decoder lets through."""
    assert Reason.TOKEN_MALFORMED is refusal(read_base64url, spelling)


def test_a_token_is_taken_apart():
    """The segments stay encoded, and the signing input is the first two."""
    assert CompactToken(b"aGVhZA", b"YQ", b"YmM") == read_compact(b"aGVhZA.YQ.YmM")


@pytest.mark.parametrize("token", NO_COMPACT_JWS)
def test_what_is_no_compact_jws(token):
    """Attack 59: another number of segments, empty ones, a JWE, and the JSON serialization."""
    assert Reason.TOKEN_MALFORMED is refusal(read_compact, token)


def test_a_header_is_read():
    """Only alg, kid and typ matter; where keys might be fetched from is not even looked at (attack 43)."""
    header = '{"alg": "ES256", "kid": "k", "typ": "at+jwt", "jku": "https://evil.example", "x5u": 1, "jwk": {}}'

    assert Header("ES256", "k", "at+jwt") == read_header(segment(header))
    assert Header("ES256", None, None) == read_header(segment('{"alg": "ES256"}'))


@pytest.mark.parametrize("value", ["null", "1", "true", "[]", "{}", '["ES256"]'])
@pytest.mark.parametrize("name", ["alg", "kid", "typ"])
def test_header_members_of_another_type(name, value):
    """Attacks 42 and 44: alg, kid and typ are strings, or malformed."""
    members = {"alg": '"ES256"', name: value}
    text = ",".join(f'"{name}": {value}' for name, value in members.items())

    assert Reason.TOKEN_MALFORMED is refusal(read_header, segment("{" + text + "}"))


@pytest.mark.parametrize("text", ["{}", '{"kid": "k", "typ": "at+jwt"}', "[]", '"ES256"', '{"alg": "ES256"', "null"])
def test_headers_without_alg(text):
    """A header without alg, or that is no object, is malformed."""
    assert Reason.TOKEN_MALFORMED is refusal(read_header, segment(text))


@pytest.mark.parametrize("extension", ['"crit": ["x"]', '"crit": []', '"crit": "b64"', '"crit": null', '"b64": false'])
def test_critical_extensions(extension):
    """Attack 46: no extension is supported, so one that is critical refuses the token, however it is spelled."""
    assert Reason.CRITICAL_HEADER_REFUSED is refusal(read_header, segment('{"alg": "ES256", ' + extension + "}"))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b'{"aud": "a", "aud": "b"}', id="duplicate name"),
        pytest.param(b'{"a": {"cnf": 1, "cnf": 1}}', id="duplicate name inside"),
        pytest.param(b'{"a": [[{"b": 1, "b": 2}]]}', id="duplicate name inside lists"),
        pytest.param(b'{"a": 1, "\\u0061": 1}', id="duplicate name by an escape"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
        pytest.param("{}".encode("utf-16"), id="UTF-16"),
        pytest.param("{}".encode("utf-16-le"), id="UTF-16 without mark"),
        pytest.param("{}".encode("utf-32"), id="UTF-32"),
        pytest.param(b'{"a": "\xff"}', id="not UTF-8"),
        pytest.param(b'{"a": "\xed\xa0\x80"}', id="surrogate in UTF-8"),
        pytest.param(b'{"a": "\xc0\xaf"}', id="overlong UTF-8"),
        pytest.param(b'{"a": "\\ud800"}', id="lone surrogate"),
        pytest.param(b'{"\\udc00": 1}', id="lone surrogate in a name"),
        pytest.param(b'{"a": [1, {"b": ["\\udc00\\ud800"]}]}', id="lone surrogates inside"),
        pytest.param(b'{"a": NaN}', id="NaN"),
        pytest.param(b'{"a": [-Infinity]}', id="Infinity"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", id="5000 digits"),
        pytest.param(b'{"a":' + b"[" * 6000 + b"]" * 6000 + b"}", id="deep nesting"),
        pytest.param(b'{"a":"\\u0041",' + b'"b":' + b"[" * 6000 + b"]" * 6000 + b"}", id="deep nesting with an escape"),
        pytest.param(b'{"a": 1} {}', id="more after it"),
        pytest.param(b"\x0c{}", id="form feed before it"),
        pytest.param("{}\u00a0".encode(), id="no-break space after it"),
        pytest.param(b'{"a": 1,}', id="trailing comma"),
        pytest.param(b"{'a': 1}", id="single quotes"),
        pytest.param(b'{"a": "\n"}', id="control character"),
        pytest.param(b'{"a": 01}', id="leading zero"),
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="array"),
        pytest.param(b'"text"', id="string"),
        pytest.param(b"null", id="null"),
    ],
)
def test_json_that_is_not_strict(data):
    """Attacks 19, 55 to 57 and 62: what two parsers might read as two things, or fail over, is malformed."""
    assert Reason.TOKEN_MALFORMED is refusal(read_json_object, data)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"{}", {}),
        (b' {"a" : [1, 2.5, true, null, "x"]}\n', {"a": [1, 2.5, True, None, "x"]}),
        ('{"ü": "€ 😀"}'.encode(), {"ü": "€ 😀"}),
        (b'{"a": ["\\ud83d\\ude00", {"\\u00fc": null}, 1]}', {"a": ["😀", {"ü": None}, 1]}),
        (b'{"a": {"b": 1}, "b": {"a": 1}}', {"a": {"b": 1}, "b": {"a": 1}}),
    ],
)
def test_strict_json(data, value):
    """What is strict is read, escapes and their pairs of surrogates included."""
    assert value == read_json_object(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values), st.booleans())
def test_json_round_trip(value, ascii_only):
    """Property: whatever JSON another library writes is read as it was meant, with escapes or without."""
    assert value == read_json_object(json.dumps(value, ensure_ascii=ascii_only).encode())


@pytest.mark.parametrize(
    "header", [{"x": "y" * 1600}, {"x": [[]] * 80}, {"x": [{}] * 80}, {str(number): "" for number in range(66)}]
)
def test_a_header_that_would_be_work(header):
    """A stranger's header is not read if it is longer or has more in it than any real one."""
    assert Reason.TOKEN_MALFORMED is refusal(read_header, base64url(json.dumps(header | {"alg": "ES256"}).encode()))
    assert "ES256" == read_header(base64url(json.dumps({"alg": "ES256", "x5c": ["A" * 1000]}).encode())).algorithm


@pytest.mark.parametrize("read", [read_compact, read_header, read_json_object, read_base64url])
@given(st.one_of(st.binary(), st.text('{}[]":,\\ud8019.eE-+ antfl').map(str.encode), base64_like.map(str.encode)))
def test_readers_are_total(read, data):
    """Property: whatever bytes come in, a value or an InvalidToken comes out."""
    try:
        assert read(data) is not None
    except InvalidToken:
        return


@given(st.text('{}[]":,\\ud8019.eE-+ antfl'))
def test_read_header_is_total_inside_the_encoding(text):
    """Property: the same for the text inside a well-formed segment."""
    try:
        assert isinstance(read_header(segment(text)), Header)
    except InvalidToken:
        return
