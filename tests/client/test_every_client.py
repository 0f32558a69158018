"""What is asked of each client, whatever its library: who gets in, and what is not even sent."""

from datetime import datetime, timedelta, timezone

import pytest
import trustme

from tokenbind import ClientError, ConfigurationError, GrantError, IdentityError, Reason
from tokenbind.client import ClientCredentials, TokenCache
from tokenbind.testing import MutualTLSServer

from .authorization_server import AuthorizationServer
from .serving import not_trusting_the_server


NOW, DAY = datetime.now(timezone.utc), timedelta(days=1)


def test_the_client_gets_in_with_its_own_token(api, open_client, client, grant):
    """Certificate and token are sent together, on a connection that is kept."""
    caller = open_client()
    assert [(200, b"client")] * 3 == [caller.call(f"{api.url}/{n}")[:2] for n in range(3)]
    assert {client.thumbprint} == {seen.thumbprint for seen in api.seen}
    assert 1 == len({seen.connection for seen in api.seen}) == len(grant.asked)


def test_a_token_endpoint_binds_the_token(api, open_client, client):
    """It sees the certificate that the API sees; whoever is not registered there gets nowhere."""
    server = AuthorizationServer(api.kit)
    server.clients["client"] = {"method": "tls_client_auth", "certificate": client.thumbprint}
    with MutualTLSServer(server, api.kit, interface="wsgi") as served:
        server.start(lambda app, interface: served)
        server.issuer = api.kit.issuer
        grant = ClientCredentials(server.url, client_id="client", ca=api.kit.ca_pem)

        assert 200 == open_client(tokens=grant).call(api.url).status
        with pytest.raises(GrantError, match="invalid_client"):
            open_client(api.kit.client("stranger").identity, grant).call(api.url)
    assert 1 == len(api.seen)


def test_a_stolen_token_is_not_even_sent(api, open_client, client):
    """Our own client sees that it names another certificate; the server is asked by others (see tests/attacks)."""
    token = api.kit.mint(client)
    caller = open_client(api.kit.client("stranger").identity, lambda: token)
    with pytest.raises(ClientError, match="another certificate") as caught:
        caller.call(api.url)

    assert Reason.CERTIFICATE_MISMATCH is caught.value.reason
    assert token not in str(caught.value)
    assert [] == api.seen


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cnf": ...}, Reason.TOKEN_UNBOUND),
        ({"cnf": {"jkt": "x"}}, Reason.CONFIRMATION_UNSUPPORTED),
        ({"cnf": {"x5t#S256": "x"}}, Reason.CONFIRMATION_MALFORMED),
    ],
)
def test_a_token_that_cannot_work_is_not_sent(api, open_client, grant, client, changes, reason):
    """An authorization server that ignored our certificate is found out, and not asked again at once."""
    token = api.kit.sign(api.kit.claims(client, **changes))
    grant.mint = lambda identity: token
    caller = open_client()
    for _ in range(2):
        with pytest.raises(ClientError) as caught:
            caller.call(api.url)
        assert reason is caught.value.reason
        assert token not in str(caught.value)
    assert ([], 1) == (api.seen, len(grant.asked))


@pytest.mark.parametrize(
    ("check_binding", "kind", "reason"),
    [
        ("auto", "opaque", None),
        ("auto", "encrypted", None),
        ("require", "opaque", Reason.TOKEN_UNBOUND),
        ("require", "bound", None),
        ("off", "unbound", None),
        ("off", "stolen", None),
        ("off", "no token", Reason.TOKEN_MALFORMED),
    ],
)
def test_how_much_is_asked_of_a_token(api, open_client, client, check_binding, kind, reason):
    """Of an opaque one nothing can be seen; it is for the API to refuse what does not fit."""
    token = {
        "opaque": "opaque",
        "encrypted": "a.b.c.d.e",
        "bound": api.kit.mint(client),
        "unbound": api.kit.unbound(client),
        "stolen": api.kit.mint(api.kit.client("stranger")),
        "no token": "no token",
    }[kind]
    caller = open_client(tokens=lambda: token, check_binding=check_binding)
    if reason is None:
        assert (200 if kind == "bound" else 401) == caller.call(api.url).status
        assert [token] == [seen.token for seen in api.seen]
    else:
        with pytest.raises(ClientError) as caught:
            caller.call(api.url)
        assert (reason, []) == (caught.value.reason, api.seen)


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        ({"not_after": NOW - DAY}, "expired at"),
        ({"not_before": NOW + DAY, "not_after": NOW + 2 * DAY}, "not valid before"),
    ],
)
def test_a_certificate_out_of_its_dates_is_not_shown(api, open_client, grant, dates, message):
    """Nobody is asked for a token, and the API hears nothing."""
    client = api.kit._issue("client", **dates)
    for tokens in (grant, lambda: api.kit.key and "opaque"):
        with pytest.raises(IdentityError, match=message):
            open_client(client.identity, tokens).call(api.url)
    assert ([], []) == (api.seen, grant.asked)


def test_a_server_of_another_ca_gets_nothing(api, open_client, grant):
    """The system's CAs do not vouch for it, nor does another one."""
    for ca in (None, trustme.CA().cert_pem.bytes()):
        with not_trusting_the_server():
            open_client(ca=ca).call(api.url)
    assert [] == api.seen


def test_the_caller_never_sees_the_token_on_its_request(api, open_client):
    """Neither on the request of the answer, nor on those that led to it; its own header is not sent."""
    answer = open_client().call(f"{api.url}/redirect?/other", headers={"Authorization": "Basic eA==", "X-Mine": "y"})

    assert (200, "y") == (answer.status, answer.request_headers["x-mine"])
    assert "Bearer" not in str(answer.request_headers)
    assert ["Bearer"] * 2 == [seen.authorization.partition(" ")[0] for seen in api.seen]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"origin": "http://api.example"}, "origin="),
        ({"origin": "https://api.example/path"}, "origin="),
        ({"tokens": "token"}, "lambda: token"),
        ({"identity": ("client.pem", "client.key")}, "FileIdentity"),
        ({"ca": b"no PEM"}, "no PEM certificates"),
        ({"check_binding": "yes"}, "auto, require, off"),
        ({"monitor": print}, r"record\(event\)"),
        ({"verify": False}, "verify= is none of"),
        ({"time_out": 5}, "time_out= is none of"),
        ({"check_binding": "auto", "tokens": TokenCache(lambda: "token")}, "where the TokenCache is made"),
    ],
)
def test_wrong_construction_is_refused_at_once(open_client, changes, message):
    """Before the first request."""
    with pytest.raises(ConfigurationError, match=message):
        open_client(**changes)
