"""`ResourceServer`: every decision between a request and a token, in sync and async alike."""

import json

import pytest

from tokenbind import (
    ConfigurationError,
    InsufficientScope,
    InvalidRequest,
    InvalidToken,
    Reason,
    TokenBindError,
    TokenVerifier,
    Unavailable,
)
from tokenbind.errors import TooEarly
from tokenbind.peer import TLSConnection
from tokenbind.resource_server import ResourceServer
from tokenbind.testing import RecordingMonitor


@pytest.fixture
def guard(tokenbind_verifier):
    """A guard with nothing but defaults."""
    return ResourceServer(tokenbind_verifier)


def test_bound_token_passes_and_a_stolen_one_does_not(
    guard, authenticate, tokenbind_token, tokenbind_client, tokenbind_stranger, tokenbind_renewed_client
):
    """The owner gets the token; a stranger, the same key renewed, and nobody are refused, each by its reason."""
    assert tokenbind_client.thumbprint == authenticate(guard, tokenbind_client, tokenbind_token).thumbprint
    for thief, reason in [
        (tokenbind_stranger, Reason.CERTIFICATE_MISMATCH),
        (tokenbind_renewed_client, Reason.CERTIFICATE_MISMATCH),
        (None, Reason.CERTIFICATE_MISSING),
    ]:
        with pytest.raises(InvalidToken) as refused:
            authenticate(guard, thief, tokenbind_token)
        assert reason is refused.value.reason


def test_unbound_token_is_refused(guard, authenticate, tokenbind_kit, tokenbind_client):
    """A plain bearer token of the same issuer has no place here."""
    with pytest.raises(InvalidToken) as refused:
        authenticate(guard, tokenbind_client, tokenbind_kit.unbound(tokenbind_client))
    assert Reason.TOKEN_UNBOUND is refused.value.reason


def test_the_default_source_is_the_connection(guard, authenticate, tokenbind_client, tokenbind_token):
    """Without a source, TLS ends here: a certificate in a header is none, and plain HTTP is 503."""
    headers = [(b"client-cert", tokenbind_client.pem.encode())]
    with pytest.raises(InvalidToken) as refused:
        authenticate(guard, None, tokenbind_token, headers=headers)
    assert Reason.CERTIFICATE_MISSING is refused.value.reason
    with pytest.raises(Unavailable) as unavailable:
        authenticate(guard, tokenbind_client, tokenbind_token, headers=headers, tls_peer=None)
    assert Reason.CERTIFICATE_SOURCE_MISSING is unavailable.value.reason


class NotingSource(TLSConnection):
    """Says that every peer is *peer*, and keeps what it was asked."""

    def __init__(self, peer):
        self.peer = peer
        self.asked = []

    def from_request(self, headers, *, socket_peer=None, socket_name=None, tls_peer=None):
        self.asked.append((headers, socket_peer, socket_name, tls_peer))
        return self.peer


def test_another_source_is_given_the_whole_request(authenticate, tokenbind_kit, tokenbind_client, tokenbind_stranger):
    """A configured source decides alone, and sees headers, both ends of the socket and TLS object as they came."""
    source = NotingSource(tokenbind_client.peer)
    guard = ResourceServer(tokenbind_kit.verifier, source)
    options = {"headers": [(b"X-Mixed", b"1")], "socket_peer": ("192.0.2.1", 9), "tls_peer": "its TLS object"}
    options |= {"socket_name": "/run/api.sock"}
    token = tokenbind_kit.mint(tokenbind_client)
    assert tokenbind_client.thumbprint == authenticate(guard, tokenbind_stranger, token, **options).thumbprint
    ((headers, *others),) = source.asked
    assert [(b"authorization", f"Bearer {token}".encode()), (b"X-Mixed", b"1")] == headers
    assert [("192.0.2.1", 9), "/run/api.sock", "its TLS object"] == others


@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer ", b"BEARER ", b"Bearer    "])
@pytest.mark.parametrize("name", [b"authorization", b"Authorization", b"AUTHORIZATION"])
def test_scheme_and_field_name_have_no_case(
    name, scheme, guard, authenticate, tokenbind_client, tokenbind_stranger, tokenbind_token
):
    """RFC 9110 §11.1 and §5.1; more than one space may follow the scheme (RFC 6750 §2.1)."""
    headers = [(name, scheme + tokenbind_token.encode())]
    assert tokenbind_client.thumbprint == authenticate(guard, tokenbind_client, headers=headers).thumbprint
    with pytest.raises(InvalidToken) as refused:
        authenticate(guard, tokenbind_stranger, headers=headers)
    assert Reason.CERTIFICATE_MISMATCH is refused.value.reason


@pytest.mark.parametrize(
    ("values", "kind", "reason"),
    [
        ([], InvalidToken, Reason.TOKEN_MISSING),
        ([b""], InvalidToken, Reason.TOKEN_MISSING),
        ([b"Basic YTpi"], InvalidToken, Reason.TOKEN_MISSING),
        ([b"DPoP {token}"], InvalidToken, Reason.TOKEN_MISSING),
        ([b"BearerX {token}"], InvalidToken, Reason.TOKEN_MISSING),
        ([b" Bearer {token}"], InvalidToken, Reason.TOKEN_MISSING),
        ([b"{token}"], InvalidToken, Reason.TOKEN_MISSING),
        ([b"Bearer"], InvalidRequest, Reason.AUTHORIZATION_MALFORMED),
        ([b"Bearer "], InvalidRequest, Reason.AUTHORIZATION_MALFORMED),
        ([b"Bearer\t{token}"], InvalidToken, Reason.TOKEN_MISSING),
        ([b"Bearer \t{token}"], InvalidRequest, Reason.AUTHORIZATION_MALFORMED),
        ([b"Bearer {token} x"], InvalidRequest, Reason.AUTHORIZATION_MALFORMED),
        ([b"Bearer {token},Bearer {token}"], InvalidRequest, Reason.AUTHORIZATION_MALFORMED),
        ([b'Bearer token="{token}"'], InvalidRequest, Reason.AUTHORIZATION_MALFORMED),
        ([b"Bearer \xff"], InvalidRequest, Reason.AUTHORIZATION_MALFORMED),
        ([b"Bearer {token}", b"Bearer {token}"], InvalidRequest, Reason.AUTHORIZATION_REPEATED),
        ([b"Bearer {token}", b"Basic YTpi"], InvalidRequest, Reason.AUTHORIZATION_REPEATED),
        ([b"", b"Bearer {token}"], InvalidRequest, Reason.AUTHORIZATION_REPEATED),
    ],
)
def test_exactly_one_well_formed_authorization(
    values, kind, reason, guard, authenticate, tokenbind_client, tokenbind_token
):
    """No token is 401; two, or one that cannot be read, is 400; the rightful owner is no exception."""
    headers = [(b"authorization", value.replace(b"{token}", tokenbind_token.encode())) for value in values]
    with pytest.raises(kind) as refused:
        authenticate(guard, tokenbind_client, headers=headers)
    assert reason is refused.value.reason


@pytest.mark.parametrize(
    "query",
    [
        b"access_token=x",
        b"access_token",
        b"a=1&access_token=",
        b"a=1;access_token=x",
        b"%61ccess%5Ftoken=x",
        b"%61%63%63%65%73%73%5f%74%6f%6B%65%6e",
    ],
)
def test_token_in_the_query_is_refused(query, guard, authenticate, tokenbind_client, tokenbind_token):
    """RFC 9700 §4.3.2: with a good token in the header, and without."""
    for token in (tokenbind_token, None):
        with pytest.raises(InvalidRequest) as refused:
            authenticate(guard, tokenbind_client, token, query=query)
        assert Reason.TOKEN_IN_QUERY is refused.value.reason


@pytest.mark.parametrize(
    "query",
    [
        b"",
        b"&&",
        b"access_token_hint=x",
        b"q=access_token",
        b"my_access_token=x",
        b"\xff",
        b"ACCESS_TOKEN=x",
        b"%41ccess_token=x",
    ],
)
def test_other_queries_pass(query, guard, authenticate, tokenbind_client, tokenbind_token):
    """Only a parameter of exactly that name is a token."""
    assert authenticate(guard, tokenbind_client, tokenbind_token, query=query) is not None


@pytest.mark.parametrize("value", [b"1", b"0", b""])
def test_early_data_must_come_again(value, guard, authenticate, tokenbind_client, tokenbind_token):
    """RFC 8470 §5.2: 425, whatever the header says and whoever sends it."""
    with pytest.raises(TooEarly) as refused:
        authenticate(guard, tokenbind_client, tokenbind_token, headers=[(b"Early-Data", value)])
    assert (Reason.EARLY_DATA, 425) == (refused.value.reason, guard.refusal(refused.value).status)


def test_exempt_is_exact(authenticate, tokenbind_verifier, tokenbind_client, tokenbind_token):
    """Method and path as listed need nothing, not even TLS; anything else needs all of it."""
    guard = ResourceServer(tokenbind_verifier, exempt={("GET", "/health"), ("WEBSOCKET", "/news")})
    assert authenticate(guard, path="/health", tls_peer=None) is None
    assert authenticate(guard, tokenbind_client, tokenbind_token, path="/health", query=b"access_token=x") is None
    assert authenticate(guard, method=None, path="/news") is None
    for method, path in [
        *(("WEBSOCKET", "/news"), (None, "/health")),
        *(("HEAD", "/health"), ("POST", "/health"), ("get", "/health"), ("GET", "/news"), ("GET", "/health/")),
        *(("GET", "/Health"), ("GET", "/health/x"), ("GET", "//health"), ("GET", "health"), ("GET", "/x/../health")),
    ]:
        with pytest.raises(InvalidToken) as refused:
            authenticate(guard, method=method, path=path)
        assert Reason.TOKEN_MISSING is refused.value.reason


def test_required_scopes(authenticate, tokenbind_kit, tokenbind_client, tokenbind_stranger):
    """Each request needs all of them; the binding is judged first, so a thief learns nothing of scopes."""
    guard = ResourceServer(tokenbind_kit.verifier, required_scopes=["read", "write"])
    both, one = (tokenbind_kit.mint(tokenbind_client, scope=scope) for scope in ("write read x", "read"))
    assert {"read", "write", "x"} == authenticate(guard, tokenbind_client, both).scopes
    with pytest.raises(InsufficientScope) as refused:
        authenticate(guard, tokenbind_client, one)
    assert ("read", "write") == refused.value.required
    with pytest.raises(InvalidToken) as stolen:
        authenticate(guard, tokenbind_stranger, one)
    assert Reason.CERTIFICATE_MISMATCH is stolen.value.reason


def refuse(authenticate, guard, *arguments, **options):
    """The error of a request, and the reference that its answer carries."""
    with pytest.raises(TokenBindError) as refused:
        authenticate(guard, *arguments, **options)
    return refused.value, json.loads(guard.refusal(refused.value).body)["reference"]


def test_monitor_is_told_once_with_the_reference_of_the_answer(
    authenticate, tokenbind_kit, tokenbind_client, tokenbind_stranger, tokenbind_token
):
    """Refusals by the guard and by the verifier are one event each; its reference is in the answer."""
    guard = ResourceServer(tokenbind_kit.verifier, required_scopes=["read"])
    references = []
    for peer, token, options in [
        (tokenbind_client, tokenbind_token, {"headers": [(b"early-data", b"1")]}),
        (tokenbind_client, tokenbind_token, {"tls_peer": None}),
        (tokenbind_client, tokenbind_token, {"query": b"access_token=x"}),
        (tokenbind_client, None, {}),
        (tokenbind_stranger, tokenbind_token, {}),
        (tokenbind_client, tokenbind_token, {}),
    ]:
        error, reference = refuse(authenticate, guard, peer, token, **options)
        event = tokenbind_kit.monitor.refused[-1]
        assert (error.reason, error.status, reference) == (event.reason, event.status, event.reference)
        references.append(reference)
    assert references == [event.reference for event in tokenbind_kit.monitor.refused]
    assert len(set(references)) == len(references)
    assert Reason.SCOPE_INSUFFICIENT is event.reason
    assert ("client", "client", "https://as.example") == (event.client_id, event.subject, event.issuer)
    assert tokenbind_kit.monitor.accepted[-1].token_id == event.token_id


class EmptyMonitor(RecordingMonitor):
    """A monitor with a length, which is 0 while nothing has happened."""

    def __len__(self):
        return len(self.events)


def test_a_monitor_of_its_own(authenticate, tokenbind_kit):
    """`monitor=` replaces the verifier's, even one that counts as false; a guard without any refuses all the same."""
    own = EmptyMonitor()
    error, _ = refuse(authenticate, ResourceServer(tokenbind_kit.verifier, monitor=own))
    assert ([Reason.TOKEN_MISSING], []) == ([event.reason for event in own.events], tokenbind_kit.monitor.events)
    unwatched = TokenVerifier(issuer="https://as.example", audience="a", keys=tokenbind_kit.verifier._keys)
    error, _ = refuse(authenticate, ResourceServer(unwatched))
    assert Reason.TOKEN_MISSING is error.reason


def test_log_has_reason_and_reference_of_each_refusal(
    guard, authenticate, caplog, tokenbind_client, tokenbind_stranger, tokenbind_token
):
    """One line each, so that whoever is told a reference finds it; never the token itself."""
    for peer, token in [(tokenbind_stranger, tokenbind_token), (tokenbind_client, None)]:
        error, reference = refuse(authenticate, guard, peer, token)
        record = caplog.records[-1]
        assert ("tokenbind", "WARNING") == (record.name, record.levelname)
        assert f"refused with 401, {error.reason}: {error} (reference {reference})" == record.getMessage()
    assert 2 == len(caplog.records)
    assert not any(part in caplog.text for part in tokenbind_token.split("."))


def test_missing_source_is_one_loud_line(guard, authenticate, caplog, tokenbind_client, tokenbind_token):
    """Every request fails for the same reason, so the log is loud once, and then has a line for each reference."""
    references = [refuse(authenticate, guard, tokenbind_client, tokenbind_token, tls_peer=None)[1] for _ in range(3)]
    assert ["ERROR", "WARNING", "WARNING"] == [record.levelname for record in caplog.records]
    for record, reference in zip(caplog.records, references, strict=True):
        assert f"(reference {reference})" in record.getMessage()
    assert "EVERY request like it is refused with 503, certificate_source_missing: " in caplog.records[0].getMessage()
    refuse(authenticate, ResourceServer(guard.verifier), tls_peer=None)
    assert "ERROR" == caplog.records[-1].levelname


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"verifier": None}, "TokenVerifier"),
        ({"verifier": "https://as.example"}, "TokenVerifier"),
        ({"required_scopes": "invoices:read"}, "collection"),
        ({"required_scopes": ["invoices read"]}, "required_scopes="),
        ({"required_scopes": [""]}, "required_scopes="),
        ({"exempt": {"/health"}}, "exempt="),
        ({"exempt": ("GET", "/health")}, "exempt="),
        ({"exempt": [["GET", "/health"]]}, "exempt="),
        ({"exempt": {("GET", "/health", "x")}}, "exempt="),
        ({"exempt": {("GET", "health")}}, "exempt="),
        ({"exempt": {("GET", "")}}, "exempt="),
        ({"exempt": {("GET", 5)}}, "exempt="),
        ({"exempt": {5}}, "exempt="),
        ({"exempt": {("GET", "/docs/*")}}, "wildcards"),
        ({"exempt": {("get", "/health")}}, "METHOD"),
        ({"peer_source": TLSConnection}, r"TLSConnection\(\)"),
        ({"peer_source": object()}, r"TLSConnection\(\)"),
        ({"mount": "api"}, "mount="),
        ({"mount": None}, "mount="),
        ({"realm": 5}, "realm="),
        ({"required_scopes": (5,)}, "required_scopes="),
        ({"realm": ""}, "realm="),
        ({"realm": 'a"b'}, "realm="),
    ],
)
def test_wrong_construction_says_what_to_do(options, advice, tokenbind_verifier):
    """What cannot be right fails when the guard is built, never per request."""
    with pytest.raises(ConfigurationError, match=advice):
        ResourceServer(**{"verifier": tokenbind_verifier, **options})
