"""What a refused client is told: RFC 6750 §3, and not a word more."""

import json
import re

from hypothesis import given, settings, strategies as st
import pytest

from tokenbind import ConfigurationError, InsufficientScope, InvalidRequest, InvalidToken, Reason, Unavailable
from tokenbind.errors import TooEarly
from tokenbind.resource_server.challenge import Challenge, cache_control_to_add


# RFC 6750 §3 restricts what the quoted strings of RFC 9110 may hold: no quote, no backslash, printable ASCII.
PARAMETER = re.compile(r'([a-z_]+)="([ !#-\[\]-~]*)"')
SECRET = "why it was refused is the operator's"

BAD_REQUEST = [
    InvalidRequest(reason, SECRET)
    for reason in (Reason.AUTHORIZATION_MALFORMED, Reason.TOKEN_IN_QUERY, Reason.CERTIFICATE_MALFORMED)
]
BAD_TOKEN = [
    InvalidToken(reason, SECRET, expected="expected", presented="presented")
    for reason in Reason
    if reason.startswith(("token_", "confirmation_", "signature_", "claim_", "certificate_mi", "algorithm_"))
    and reason is not Reason.TOKEN_MISSING
]
MISSING = InvalidToken(Reason.TOKEN_MISSING, SECRET)
NARROW = InsufficientScope(("invoices:write", "x"))
EARLY = TooEarly(Reason.EARLY_DATA, SECRET)
AWAY = [Unavailable(Reason.CERTIFICATE_SOURCE_MISSING, SECRET), Unavailable(Reason.REVOCATION_UNAVAILABLE, SECRET)]


def refuse(error, realm="api", scopes=("invoices:read", "y")):
    """The refusal, its JSON, and its challenge as a dict; None without a challenge."""
    refusal = Challenge(realm, scopes).refusal(error)
    headers = dict(refusal.headers)
    assert len(headers) == len(refusal.headers)
    challenge = headers.get("www-authenticate")
    return refusal, json.loads(refusal.body), None if challenge is None else parse(challenge)


def parse(challenge):
    """The auth-params of one Bearer challenge (RFC 9110 §11.3); an assertion fails on anything else."""
    scheme, _, rest = challenge.partition(" ")
    assert "Bearer" == scheme
    pairs = [PARAMETER.fullmatch(parameter).groups() for parameter in re.split(r', (?=[a-z_]+=")', rest)]
    assert len(dict(pairs)) == len(pairs)  # RFC 6750 §3: none "MUST NOT appear more than once"
    return dict(pairs)


@pytest.mark.parametrize(
    ("error", "status", "code", "scope"),
    [
        *((error, 400, "invalid_request", None) for error in BAD_REQUEST),
        *((error, 401, "invalid_token", "invoices:read y") for error in BAD_TOKEN),
        (NARROW, 403, "insufficient_scope", "invoices:write x"),
    ],
    ids=lambda value: getattr(value, "reason", None),
)
def test_challenge_names_the_registered_error(error, status, code, scope):
    """Status, error and scope as in RFC 6750 §3.1; the description holds only the reference."""
    refusal, body, challenge = refuse(error)
    assert (status, code) == (refusal.status, body["error"])
    description = f"{body['error_description']} (reference {error.reference})"
    expected = {"realm": "api", "error": code, "error_description": description, "scope": scope}
    assert {name: value for name, value in expected.items() if value is not None} == challenge


def test_missing_token_is_challenged_without_an_error():
    """RFC 6750 §3.1: no error code if the request lacks any authentication information."""
    refusal, body, challenge = refuse(MISSING)
    assert 401 == refusal.status
    assert {"realm": "api", "scope": "invoices:read y"} == challenge
    assert {"error": "unauthorized", "error_description": "An access token is needed"}.items() <= body.items()
    assert {"realm": "api"} == refuse(MISSING, scopes=())[2]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(EARLY, 425, "invalid_request"), *((error, 503, "temporarily_unavailable") for error in AWAY)],
)
def test_no_challenge_where_another_token_would_not_help(error, status, code):
    """425 and 503 are about the connection and the server, so they ask for no credentials."""
    refusal, body, challenge = refuse(error)
    assert (status, code, None) == (refusal.status, body["error"], challenge)


@pytest.mark.parametrize("error", [*BAD_REQUEST, *BAD_TOKEN, MISSING, NARROW, EARLY, *AWAY], ids=lambda e: e.reason)
def test_answer_is_complete_and_tells_nothing(error):
    """JSON that no cache keeps, with its exact length; the reason is the operator's and stands nowhere."""
    refusal, body, _ = refuse(error)
    headers = dict(refusal.headers)
    assert ("application/json", "no-store") == (headers["content-type"], headers["cache-control"])
    assert str(len(refusal.body)) == headers["content-length"]
    assert {"error", "error_description", "reference"} == set(body)
    assert error.reference == body["reference"]
    told = str(refusal)
    assert not [word for word in (SECRET, error.reason, "expected", "presented") if word in told]


def test_refused_tokens_are_told_apart_by_the_reference_alone():
    """Wrong certificate, no certificate, bad signature, expired: the same bytes but for twelve random characters."""
    answers = {str(refuse(error)[0]).replace(error.reference, "") for error in BAD_TOKEN}
    assert 1 == len(answers)
    assert len(BAD_TOKEN) == len({error.reference for error in BAD_TOKEN})
    assert all(re.fullmatch("[0-9a-f]{12}", error.reference) for error in BAD_TOKEN)


@settings(deadline=None)
@given(st.text(max_size=12), st.lists(st.text(max_size=4), max_size=3).map(tuple))
def test_realm_and_scopes_parse_back_or_are_refused(realm, scopes):
    """Whatever is configured comes out of the challenge as it went in, or is refused when it is configured."""
    try:
        Challenge(realm, scopes)
    except ConfigurationError:
        return
    challenge = refuse(MISSING, realm, scopes)[2]
    assert (realm, scopes) == (challenge["realm"], tuple(challenge.get("scope", "").split()))


@pytest.mark.parametrize("realm", ["", None, 'a"b', "a\\b", "a\nb", "a\r\nX: y", "caf\u00e9", "a\x7f", "a\n"])
def test_realm_that_cannot_be_quoted(realm):
    """A realm that would need escapes, or could break out of the header, is refused."""
    with pytest.raises(ConfigurationError, match="realm="):
        Challenge(realm, ())


@pytest.mark.parametrize("scope", ["", "a b", 'a"', "a\\", "a\n", "\u00e9"])
def test_scope_that_is_none(scope):
    """RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )."""
    with pytest.raises(ConfigurationError, match="required_scopes="):
        Challenge("api", ("good", scope))


@pytest.mark.parametrize(
    ("values", "added"),
    [
        ([], "no-store"),
        ([""], "no-store"),
        (["public, max-age=60"], "private"),
        (["max-age=60", "s-maxage=60"], "private"),
        (["no-cache"], "private"),
        (['public, private="set-cookie"'], "private"),
        (['public, x="no-store"'], "private"),
        (["private"], None),
        (["max-age=60", " PRIVATE "], None),
        (["No-Store, max-age=0"], None),
    ],
)
def test_cache_control_to_add(values, added):
    """An answer to a bound request is never for a shared cache (RFC 9111 §3.5); the application may say more."""
    assert added == cache_control_to_add(values)


@pytest.mark.parametrize("scope", ['x", error="', "a\r\nSet-Cookie: sid=evil", "\u20ac", "a b", ""])
def test_a_scope_made_of_client_input_adds_nothing(scope):
    """An application may ask for a scope that it made of a path; the challenge names what is one, and nothing else."""
    assert "scope" not in refuse(InsufficientScope((scope,)))[2]
    assert "y" == refuse(InsufficientScope((scope, "y")))[2]["scope"]
