"""What a token endpoint may answer, and what is made of it: a token, or our error."""

import json

from hypothesis import given, strategies as st
import pytest

from tokenbind import ClientError, GrantError, Reason
from tokenbind.client import IssuedToken
from tokenbind.client.token_response import read_token, read_token_response
from tokenbind.transport import Response


GOOD = {"access_token": "opaque", "token_type": "Bearer", "expires_in": 300}


def read(answer, status=200, *, secrets=(), **headers):
    """What is made of an answer."""
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_token(read_token_response(Response(status, fields, body), secrets))


def test_a_good_answer_is_read():
    """RFC 6749 §5.1; token_type in any case, scope and expires_in optional."""
    assert IssuedToken("opaque", 300.0, None) == read(GOOD)
    assert IssuedToken("opaque", 300.0, "a") == read(GOOD | {"token_type": "bEARER", "scope": "a"})
    assert IssuedToken("opaque", 300.0, None) == read(GOOD | {"expires_in": "300"})
    assert IssuedToken("opaque", 0.0, None) == read(GOOD | {"expires_in": 0, "error": "none"})
    assert IssuedToken("opaque", 60.0, None) == read({"access_token": "opaque", "token_type": "Bearer"})
    assert IssuedToken("opaque", 60.0, None) == read(GOOD | {"expires_in": None, "scope": ["a"]})


@pytest.mark.parametrize("status", [400, 401, 403, 429, 503, 200])
def test_a_refusal_says_what_the_server_said(status):
    """RFC 6749 §5.2, made safe to print; some give it with 200."""
    with pytest.raises(GrantError) as caught:
        read({"error": "invalid_client", "error_description": "no\nway\u202e"}, status)

    error = caught.value
    assert ("invalid_client", "no?way?", status) == (error.error, error.description, error.status)
    assert "the authorization server refused: invalid_client (no?way?)" == str(error)


def test_a_refusal_is_not_long_and_does_not_show_what_was_sent():
    """Some servers quote what they do not like."""
    with pytest.raises(GrantError) as caught:
        read({"error": "e" * 1000, "error_description": f"bad s3cret, {'s3cret' * 1000}"}, 400, secrets=["s3cret"])
    assert ("e" * 200, 200) == (caught.value.error, len(caught.value.description))
    assert "s3cret" not in str(caught.value)
    with pytest.raises(GrantError) as caught:
        read({"error": "x-s3cret", "error_description": 5}, 400, secrets=["s3cret"])
    assert ("x-...", None) == (caught.value.error, caught.value.description)


@pytest.mark.parametrize("secret", ["i", "_", "invalid_grant", "grant"])
def test_a_registered_code_is_never_masked(secret):
    """Whatever the secret: callers decide by it. What is masked elsewhere stays so."""
    with pytest.raises(GrantError) as caught:
        read({"error": "invalid_grant", "error_description": f"no {secret}!"}, 400, secrets=[secret])
    assert "invalid_grant" == caught.value.error
    assert secret not in caught.value.description


def test_a_hint_goes_with_its_code_alone():
    """And stands in the message."""
    for code, words in (
        ("invalid_grant", "refused: invalid_grant; log in"),
        ("invalid_scope", "refused: invalid_scope"),
    ):
        with pytest.raises(GrantError, match=f"{words}$"):
            read_token_response(
                Response(400, {}, json.dumps({"error": code}).encode()), (), {"invalid_grant": "log in"}
            )


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (b"<html>", 200, "it answered 200 with HTML, not JSON"),
        (b"oops", 502, "it answered 502 with a body that is not JSON"),
        (b"", 503, "it answered 503 with a body that is not JSON"),
        (b"[" * 50_000, 200, "JSON"),
        (b'{"access_token": "a", "access_token": "b", "token_type": "Bearer"}', 200, "not strict JSON"),
        ([], 200, "not an object"),
        ({}, 500, "it answered 500 without an error code"),
        ({"error": 1}, 400, "it answered 400 without an error code"),
        (GOOD, 201, "it answered 201 without an error code"),
        (GOOD, 302, r"it answered 302 \(redirects are not followed\)$"),
        ({"error": "moved"}, 307, r"it answered 307 \(redirects are not followed\)$"),
        ({}, 200, "no access_token"),
        ({"error": 1}, 200, "no access_token"),
        (GOOD | {"access_token": None}, 200, "no access_token"),
        (GOOD | {"access_token": ""}, 200, "no access_token"),
        (GOOD | {"access_token": "a\r\nb"}, 200, "no access_token"),
        (GOOD | {"access_token": "\u00e4"}, 200, "no access_token"),
        (GOOD | {"access_token": "a b"}, 200, "no access_token"),
        (GOOD | {"token_type": "DPoP"}, 200, "its token_type is DPoP, and not Bearer"),
        (GOOD | {"token_type": "N_A"}, 200, "its token_type is something else, and not Bearer"),
        (GOOD | {"token_type": None}, 200, "token_type"),
        (GOOD | {"token_type": ["Bearer"]}, 200, "token_type"),
        (GOOD | {"expires_in": True}, 200, "expires_in"),
        (GOOD | {"expires_in": "soon"}, 200, "expires_in"),
        (GOOD | {"expires_in": ""}, 200, "expires_in"),
        (GOOD | {"expires_in": "-5"}, 200, "expires_in"),
        (GOOD | {"expires_in": "9" * 5000}, 200, "expires_in"),
        (GOOD | {"expires_in": 10**9}, 200, "expires_in"),
        (GOOD | {"expires_in": -1}, 200, "expires_in"),
        (GOOD | {"expires_in": [300]}, 200, "expires_in"),
        (GOOD | {"expires_in": float("nan")}, 200, "JSON"),
        (GOOD | {"expires_in": float("inf")}, 200, "JSON"),
    ],
)
def test_a_strange_answer_is_a_client_error(answer, status, words):
    """Not a token endpoint's answer, so no token and no other exception; nothing of it is quoted."""
    with pytest.raises(ClientError, match=words) as caught:
        read(answer, status)

    assert not isinstance(caught.value, GrantError)
    assert str(caught.value).startswith("the token endpoint is not as expected: ")
    assert Reason.AUTHORIZATION_SERVER_UNREACHABLE is caught.value.reason
    for secret in ("oops", "opaque", "soon"):
        assert secret not in str(caught.value)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("answer", [b"", {"error": "slow_down"}, {}], ids=repr)
def test_a_busy_server_is_left_alone(status, answer):
    """With an error code or without one."""
    with pytest.raises(ClientError) as caught:
        read(answer, status, retry_after="21600")
    assert 21600 == caught.value.retry_after_seconds
    with pytest.raises(ClientError) as caught:
        read(answer, status)
    assert None is caught.value.retry_after_seconds


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
NAMES = ["access_token", "token_type", "expires_in", "scope", "error", "error_description"]


@given(
    st.binary()
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from(NAMES), JSON | st.sampled_from(["Bearer", "300", 300])),
    st.integers(100, 999),
    st.text(),
    st.lists(st.text(min_size=1)),
)
def test_any_answer_gives_a_token_or_our_error(answer, status, retry_after, secrets):
    """Totality; and what is said of it can be printed."""
    message = ""
    try:
        issued = read(answer, status, secrets=secrets, retry_after=retry_after)
        assert 200 == status
        assert 0 <= issued.expires_in_seconds < 10**9
    except ClientError as error:
        message = str(error)
    assert message == "" or message.isprintable()
    assert len(message) < 600


def test_a_token_is_not_in_a_repr():
    """It ends up in logs otherwise."""
    assert "<IssuedToken for 300 s>" == repr(read(GOOD))
