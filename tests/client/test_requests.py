"""The `requests` adapter and session, over real mutual TLS."""

import pickle

import pytest
import requests

from tokenbind import ClientError, ConfigurationError, GrantError, OriginRefused, Reason
from tokenbind.client import IssuedToken
from tokenbind.client.requests import BoundTokenAdapter, BoundTokenSession
from tokenbind.resource_server.asgi import BoundTokenMiddleware


class Grant:
    """A grant that mints by itself and counts."""

    def __init__(self, mint, expires_in=300.0):
        self.mint, self.expires_in, self.asked = mint, expires_in, 0

    def fetch(self, identity):
        self.asked += 1
        return IssuedToken(self.mint(), self.expires_in, None)


class Api:
    """A protected API that records what it is sent; ``/redirect`` sends on to `elsewhere`."""

    def __init__(self, kit, serve):
        self.kit, self.headers, self.elsewhere = kit, [], ""
        self.server = serve(BoundTokenMiddleware(self, kit.verifier))
        self.url = self.server.url

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return
        self.headers.append(dict(scope["headers"]))
        status, headers = 200, []
        if scope["path"] == "/redirect":
            status, headers = 302, [(b"location", self.elsewhere.encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": scope["tokenbind.token"].client_id.encode()})

    def session(self, client, tokens):
        return BoundTokenSession(client.identity, tokens, origin=self.url, ca=self.kit.ca_pem)


@pytest.fixture
def api(tokenbind_kit, tokenbind_server):
    """A protected API over mutual TLS."""
    return Api(tokenbind_kit, tokenbind_server)


def test_the_client_gets_in_with_its_own_token(api, tokenbind_client, tokenbind_token):
    """Certificate and token are sent together, on a connection that is kept."""
    with api.session(tokenbind_client, lambda: tokenbind_token) as session:
        assert ["client", "client"] == [session.get(f"{api.url}/{n}").text for n in range(2)]


def test_a_stolen_token_is_not_even_sent(api, tokenbind_stranger, tokenbind_token):
    """Our own client sees that it names another certificate; the server is asked by others (see tests/attacks)."""
    with api.session(tokenbind_stranger, lambda: tokenbind_token) as session:
        with pytest.raises(ClientError, match="another certificate") as caught:
            session.get(api.url)

    assert Reason.CERTIFICATE_MISMATCH is caught.value.reason
    assert [] == api.headers + api.kit.monitor.events
    assert tokenbind_token not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cnf": ...}, Reason.TOKEN_UNBOUND),
        ({"cnf": {"jkt": "x"}}, Reason.CONFIRMATION_UNSUPPORTED),
        ({"cnf": {"x5t#S256": "x"}}, Reason.CONFIRMATION_MALFORMED),
    ],
)
def test_a_token_that_cannot_work_is_not_sent(api, tokenbind_client, changes, reason):
    """An authorization server that ignored our certificate is found out before the API is asked."""
    token = api.kit.sign(api.kit.claims(tokenbind_client, **changes))
    grant = Grant(lambda: token)
    events = len(api.kit.monitor.events)
    with api.session(tokenbind_client, grant) as session, pytest.raises(ClientError) as caught:
        session.get(api.url)

    assert reason is caught.value.reason
    assert isinstance(caught.value, requests.RequestException)
    assert events == len(api.kit.monitor.events)


@pytest.mark.parametrize("token", ["opaque", "a.b.c", "e30.W10.e30"])
def test_an_opaque_token_is_sent(api, tokenbind_client, token):
    """Nothing can be seen of it, so the API decides: 401 here."""
    with api.session(tokenbind_client, lambda: token) as session:
        assert session.get(api.url).status_code in (400, 401)


@pytest.mark.parametrize("change", ["{}\n", "{} ", "{}\u00e4", "{}\r\nX: y", "", None, b"bytes"])
def test_what_is_no_token_is_refused_and_not_quoted(api, tokenbind_client, tokenbind_token, change):
    """A token read from a file with its line end would be quoted whole in http.client's error."""
    token = change.format(tokenbind_token) if isinstance(change, str) else change
    with api.session(tokenbind_client, lambda: token) as session, pytest.raises(ClientError) as caught:
        session.get(api.url)

    assert Reason.TOKEN_MALFORMED is caught.value.reason
    assert tokenbind_token not in repr(caught.value) + repr(caught.value.__context__)
    assert [] == api.headers


def test_an_exception_carries_the_request_without_the_token(api, tokenbind_client, tokenbind_token):
    """Whoever logs it logs no token."""
    session = api.session(tokenbind_client, lambda: tokenbind_token)
    with session, pytest.raises(requests.ConnectionError) as caught:
        session.get(api.url, proxies={"https": "http://127.0.0.1:1"})

    assert "authorization" not in caught.value.request.headers


def test_what_is_sent_again_by_a_hook_is_checked_again(api, tokenbind_client, tokenbind_token):
    """The response's connection is the adapter with its origin check, as HTTPDigestAuth uses it."""
    with api.session(tokenbind_client, lambda: tokenbind_token) as session:
        response = session.get(api.url)
        elsewhere = requests.Request("GET", "https://127.0.0.1:1/").prepare()
        with pytest.raises(OriginRefused):
            response.connection.send(elsewhere)


def test_a_grant_is_asked_once_while_its_token_is_fresh(api, tokenbind_client):
    """And again once most of the token's life is over."""
    lasting = Grant(lambda: api.kit.mint(tokenbind_client))
    fleeting = Grant(lambda: api.kit.mint(tokenbind_client), expires_in=1e-9)
    for grant, asked in ((lasting, 1), (fleeting, 3)):
        with api.session(tokenbind_client, grant) as session:
            assert [200] * 3 == [session.get(api.url).status_code for _ in range(3)]
        assert asked == grant.asked


def test_a_refused_grant_comes_out_as_a_request_exception_too(api, tokenbind_client):
    """With everything that the server said."""

    def refuse():
        raise GrantError("invalid_client", "who are you", 401)

    with api.session(tokenbind_client, Grant(refuse)) as session, pytest.raises(GrantError) as caught:
        session.get(api.url)

    assert isinstance(caught.value, requests.RequestException)
    assert ("invalid_client", "who are you") == (caught.value.error, caught.value.description)
    assert caught.value.request.url == api.url + "/"


@pytest.mark.parametrize("url", ["https://127.0.0.1:1/", "http://127.0.0.1/", "https://localhost:{port}/"])
def test_another_origin_gets_nothing(api, tokenbind_client, tokenbind_token, url):
    """No connection is made, whatever the scheme."""
    with api.session(tokenbind_client, lambda: tokenbind_token) as session:
        with pytest.raises(OriginRefused, match="nothing was sent") as caught:
            session.get(url.format(port=api.server.port))

    assert isinstance(caught.value, requests.RequestException)
    assert [] == api.headers


def test_a_redirect_to_another_origin_gets_nothing(api, tokenbind_client, tokenbind_token, tokenbind_server):
    """Neither token nor certificate reach the foreign host; on the same origin the redirect is followed."""
    foreign = []

    def app(environ, start_response):
        foreign.append(environ)
        start_response("200 OK", [])
        return [b""]

    api.elsewhere = tokenbind_server(app, interface="wsgi").url
    with api.session(tokenbind_client, lambda: tokenbind_token) as session:
        with pytest.raises(OriginRefused):
            session.get(f"{api.url}/redirect")
        api.elsewhere = "/other"
        assert 200 == session.get(f"{api.url}/redirect").status_code
    assert [] == foreign


def test_the_caller_never_sees_the_token_on_its_request(api, tokenbind_client, tokenbind_token):
    """Not on the request of the response, nor in the history."""
    api.elsewhere = "/other"
    with api.session(tokenbind_client, lambda: tokenbind_token) as session:
        response = session.get(f"{api.url}/redirect")

    for one in (response, *response.history):
        assert "authorization" not in one.request.headers
    assert tokenbind_token.encode() in api.headers[0][b"authorization"]


def test_the_environment_has_no_say(api, tokenbind_client, tokenbind_token, monkeypatch, tmp_path):
    """netrc, CA bundles and proxies of the environment change nothing, for the session and for a mounted adapter."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "no-such.pem"))
    mounted = requests.Session()
    mounted.mount(
        "https://",
        BoundTokenAdapter(tokenbind_client.identity, lambda: tokenbind_token, origin=api.url, ca=api.kit.ca_pem),
    )
    with mounted, api.session(tokenbind_client, lambda: tokenbind_token) as session:
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
        assert 200 == session.get(api.url).status_code
        monkeypatch.delenv("HTTPS_PROXY")
        assert 200 == mounted.get(api.url).status_code
    assert all(headers[b"authorization"].startswith(b"Bearer ey") for headers in api.headers)


@pytest.mark.parametrize("options", [{"verify": False}, {"cert": "x.pem"}])
def test_foreign_tls_settings_are_refused(api, tokenbind_client, tokenbind_token, options):
    """They would silently be something else than what was asked for."""
    with api.session(tokenbind_client, lambda: tokenbind_token) as session:
        with pytest.raises(requests.RequestException, match="refused"):
            session.get(api.url, **options)
    assert [] == api.headers


def test_a_server_of_another_ca_is_refused(api, tokenbind_client, tokenbind_token):
    """The system's CAs do not vouch for it, and nothing of ours is shown."""
    with BoundTokenSession(tokenbind_client.identity, lambda: tokenbind_token, origin=api.url) as session:
        with pytest.raises(requests.exceptions.SSLError):
            session.get(api.url)
    assert [] == api.headers


def test_a_new_identity_gets_connections_and_tokens_of_its_own(api, tokenbind_client, tokenbind_renewed_client):
    """A source that changes its mind is followed from the next request on."""

    class Source:
        def __init__(self):
            self.client = tokenbind_client
            self.identities = {c: c.identity.current() for c in (tokenbind_client, tokenbind_renewed_client)}

        def current(self):
            return self.identities[self.client]

    source = Source()
    grant = Grant(lambda: api.kit.mint(source.client))
    with BoundTokenSession(source, grant, origin=api.url, ca=api.kit.ca_pem) as session:
        for source.client in (tokenbind_client, tokenbind_renewed_client):
            assert 200 == session.get(api.url).status_code
    assert [tokenbind_client.thumbprint, tokenbind_renewed_client.thumbprint] == [
        event.thumbprint for event in api.kit.monitor.accepted
    ]


def test_wrong_construction_is_refused_at_once(tokenbind_client):
    """Origin and CA are looked at before the first request."""
    with pytest.raises(ConfigurationError, match="origin="):
        BoundTokenSession(tokenbind_client.identity, str, origin="http://api.example")
    with pytest.raises(ConfigurationError, match="lambda: token"):
        BoundTokenSession(tokenbind_client.identity, "token", origin="https://api.example")
    with pytest.raises(ConfigurationError, match="FileIdentity"):
        BoundTokenSession(("client.pem", "client.key"), str, origin="https://api.example")
    with pytest.raises(ConfigurationError, match="does not exist"):
        BoundTokenSession(tokenbind_client.identity, str, origin="https://api.example", ca="no-such.pem")


def test_neither_adapter_nor_session_is_pickled(api, tokenbind_client, tokenbind_token):
    """They hold a private key."""
    session = api.session(tokenbind_client, lambda: tokenbind_token)
    for thing in (session, session.get_adapter("https://x")):
        with pytest.raises(TypeError, match="private key"):
            pickle.dumps(thing)
