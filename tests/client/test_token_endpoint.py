"""Where the token endpoint is: by the server's metadata, or as it was said; and how it is asked."""

import logging
import re
from select import select
from threading import Thread

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest
import trustme

from tokenbind import ClientError, GrantError, Reason
from tokenbind.client import token_endpoint
from tokenbind.client.client_authentication import PrivateKeyJWT
from tokenbind.client.grants import ClientCredentials
from tokenbind.testing import BindingKit
from tokenbind.tokens import SigningKey
from tokenbind.transport import FetchError
from tokenbind.transport.trust_anchors import Anchors

from ..transport.conftest import read_head
from .authorization_server import METADATA, AuthorizationServer, answer


@pytest.fixture
def clock(monkeypatch):
    """The clock of what is known about servers; ``clock[0]`` is now."""
    now = [1000.0]
    monkeypatch.setattr(token_endpoint, "elapsed", lambda: now[0])
    return now


@pytest.fixture
def pauses(monkeypatch):
    """The pauses between attempts, which are not made."""
    made = []
    monkeypatch.setattr(token_endpoint, "sleep", made.append)
    return made


@pytest.fixture
def fetch(grant_of, tokenbind_client):
    """Fetch a token as ``tokenbind_client``, once."""
    return lambda **options: grant_of(ClientCredentials, **options).fetch(tokenbind_client.identity.current())


@pytest.fixture
def identity(tokenbind_client):
    """The client's."""
    return tokenbind_client.identity.current()


def unreachable(fetch, words, **options):
    """It fails for the server's sake; the error."""
    with pytest.raises(ClientError, match=words) as caught:
        fetch(**options)
    assert Reason.AUTHORIZATION_SERVER_UNREACHABLE is caught.value.reason
    return caught.value


def test_the_alias_for_mutual_tls_is_preferred(authorization_server, fetch, tokenbind_client):
    """RFC 8705 §5; the metadata is fetched without the certificate, which is not for everyone to see."""
    url = authorization_server.url
    authorization_server.metadata = {"mtls_endpoint_aliases": {"token_endpoint": f"{url}/mtls/token", "x": 5}}
    fetch()
    assert [(METADATA, None), ("/mtls/token", tokenbind_client.thumbprint)] == authorization_server.asked


@pytest.mark.parametrize("aliases", [None, ..., {}, {"revocation_endpoint": "https://x"}, {"token_endpoint": None}])
def test_without_an_alias_it_is_the_endpoint(authorization_server, fetch, aliases):
    """RFC 8705 §5: "authorization servers may omit [...] endpoints"."""
    authorization_server.metadata = {"mtls_endpoint_aliases": aliases}
    fetch()
    assert [METADATA, "/token"] == authorization_server.paths()


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"mtls_endpoint_aliases": []}, "mtls_endpoint_aliases .* is not a JSON object"),
        ({"mtls_endpoint_aliases": {"token_endpoint": "http://x/"}}, r"mtls_endpoint_aliases\.token_endpoint .* plain"),
        ({"mtls_endpoint_aliases": {"token_endpoint": 5}}, r"mtls_endpoint_aliases\.token_endpoint .* plain"),
        ({"mtls_endpoint_aliases": {"token_endpoint": "https://evil.example/"}}, "another host.* allowed_hosts="),
        ({"token_endpoint": "https://evil.example/"}, "another host.* allowed_hosts="),
        ({"token_endpoint": ...}, "has no token_endpoint"),
        ({"issuer": "https://evil.example"}, "is the metadata of the issuer"),
    ],
)
def test_bad_metadata_leads_nowhere(authorization_server, fetch, metadata, words):
    """Least of all to the endpoint that sees no certificate."""
    authorization_server.metadata = metadata
    unreachable(fetch, words)
    assert [METADATA] == authorization_server.paths()


def test_an_alias_on_another_host_must_be_allowed(
    authorization_server, fetch, tokenbind_server, tokenbind_kit, tokenbind_client
):
    """It mostly is on one: a host name of its own, or a port."""
    other = AuthorizationServer(tokenbind_kit)
    other.clients = authorization_server.clients
    other.start(tokenbind_server)
    authorization_server.metadata = {"mtls_endpoint_aliases": {"token_endpoint": f"{other.url}/token"}}

    unreachable(fetch, "another host")
    fetch(allowed_hosts=[other.url.removeprefix("https://")])
    assert ([METADATA] * 2, ["/token"]) == (authorization_server.paths(), other.paths())


def test_an_endpoint_that_is_given_is_not_looked_for(authorization_server, fetch):
    """Wherever it is."""
    fetch(token_endpoint=f"{authorization_server.url}/a/token?b=c")
    assert ["/a/token"] == authorization_server.paths()


def test_the_address_is_where_the_issuer_is(authorization_server, tokenbind_kit, tokenbind_client):
    """The issuer keeps its name, in the JWT that says who we are, too."""
    address, key = authorization_server.url, SigningKey.generate()
    authorization_server.url = "https://as.example"
    authorization_server.clients["billing"] = {"method": "private_key_jwt", "key": key}
    options = {"client_id": "billing", "authentication": PrivateKeyJWT(key), "ca": tokenbind_kit.ca_pem}
    grant = ClientCredentials("https://as.example", address=address, **options)
    grant.fetch(tokenbind_client.identity.current())
    assert [METADATA, "/token"] == authorization_server.paths()


def test_metadata_is_kept_for_an_hour(authorization_server, grant_of, tokenbind_client, clock):
    """Then it is asked for again, and what it says counts."""
    grant, identity = grant_of(ClientCredentials), tokenbind_client.identity.current()
    grant.fetch(identity)
    clock[0] += 3599
    grant.fetch(identity)
    authorization_server.metadata = {"token_endpoint": f"{authorization_server.url}/new"}
    clock[0] += 2
    grant.fetch(identity)
    assert [METADATA, "/token", "/token", METADATA, "/new"] == authorization_server.paths()


def test_old_metadata_serves_on_while_there_is_none_anew(
    authorization_server, grant_of, tokenbind_client, clock, caplog
):
    """It is tried again after five minutes; the log says so each time."""
    grant, identity = grant_of(ClientCredentials), tokenbind_client.identity.current()
    grant.fetch(identity)
    authorization_server.metadata = {"issuer": "https://other.example"}
    for later in (3601, 299, 2):
        clock[0] += later
        grant.fetch(identity)
    expected = [METADATA, "/token", METADATA, "/token", "/token", METADATA, "/token"]
    assert expected == authorization_server.paths()
    assert [True] * 2 == ["what it said before counts on" in record.getMessage() for record in caplog.records]


def test_metadata_that_was_not_there_is_asked_for_again(authorization_server, grant_of, tokenbind_client):
    """At once: how often is for those who call."""
    grant, identity = grant_of(ClientCredentials), tokenbind_client.identity.current()
    authorization_server.metadata = {"token_endpoint": ...}
    with pytest.raises(ClientError, match="has no token_endpoint"):
        grant.fetch(identity)
    authorization_server.metadata = {}
    grant.fetch(identity)
    assert [METADATA, METADATA, "/token"] == authorization_server.paths()


def test_new_metadata_takes_half_of_the_time_at_most(grant_of, tokenbind_client, clock, monkeypatch):
    """A server that hangs with it may still give tokens."""
    grant, identity, given = grant_of(ClientCredentials), tokenbind_client.identity.current(), []
    grant.fetch(identity)

    def hang(issuer, *, timeout_seconds, **options):
        given.append(timeout_seconds)
        raise FetchError("it hangs")

    monkeypatch.setattr(token_endpoint, "discover", hang)
    clock[0] += 3601
    assert 300 == grant.fetch(identity).expires_in_seconds
    assert [True] == [5 < seconds <= 10 for seconds in given]


def test_an_issuer_that_hangs_is_given_up(listening, tokenbind_kit, identity):
    """After timeout_seconds."""
    url = f"https://127.0.0.1:{listening(lambda connection: connection.recv(65_536) and connection.recv(1))}"
    grant = ClientCredentials(url, client_id="billing", ca=tokenbind_kit.ca_pem, timeout_seconds=0.3)
    with pytest.raises(ClientError, match="no token: .*well-known.* did not answer within"):
        grant.fetch(identity)


@pytest.mark.parametrize("status", ["302 Found", "308 Moved", "404 Not Found", "405 Not Allowed", "410 Gone"])
def test_an_endpoint_that_has_moved_is_looked_for(authorization_server, grant_of, tokenbind_client, status):
    """At the next request; an hour would be long."""
    grant, identity = grant_of(ClientCredentials), tokenbind_client.identity.current()
    grant.fetch(identity)
    authorization_server.metadata = {"token_endpoint": f"{authorization_server.url}/new"}
    authorization_server.answers = [answer(status, {}, headers=[("location", f"{authorization_server.url}/new")])]
    with pytest.raises(ClientError, match=status[:3]):
        grant.fetch(identity)
    grant.fetch(identity)
    assert [METADATA, "/token", "/token", METADATA, "/new"] == authorization_server.paths()


def test_a_refusal_is_no_reason_to_look_elsewhere(authorization_server, grant_of, tokenbind_client):
    """Nor is a server that is busy."""
    grant, identity = grant_of(ClientCredentials), tokenbind_client.identity.current()
    authorization_server.answers = [
        answer("400 No", {"error": "invalid_scope"}),
        answer("429 Slow", {}, headers=[("retry-after", "9")]),
    ]
    for _ in range(2):
        with pytest.raises(ClientError):
            grant.fetch(identity)
    grant.fetch(identity)
    assert [METADATA, "/token", "/token", "/token"] == authorization_server.paths()


def test_a_redirect_is_not_followed(authorization_server, fetch, tokenbind_server, tokenbind_kit):
    """Form and certificate would go to whoever it names."""
    elsewhere = AuthorizationServer(tokenbind_kit)
    elsewhere.start(tokenbind_server)
    authorization_server.answers = [
        answer("307 Go", {"error": "moved"}, headers=[("location", f"{elsewhere.url}/token")])
    ]
    unreachable(fetch, r"it answered 307 \(redirects are not followed\)$")
    assert [] == elsewhere.asked


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"tls_client_certificate_bound_access_tokens": ...}, "bound_access_tokens)"),
        ({"tls_client_certificate_bound_access_tokens": "true"}, "bound_access_tokens)"),
        ({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}, "it takes tls_client_auth"),
        (
            {"tls_client_certificate_bound_access_tokens": False, "token_endpoint_auth_methods_supported": []},
            "bound_access_tokens), nor that it takes",
        ),
    ],
)
def test_doubts_are_logged_once(authorization_server, grant_of, tokenbind_client, clock, caplog, metadata, words):
    """Servers are often better than their metadata: there is a token all the same."""
    authorization_server.metadata = metadata
    grant = grant_of(ClientCredentials)
    for _ in range(2):
        grant.fetch(tokenbind_client.identity.current())
        clock[0] += 4000
    [record] = caplog.records
    assert (logging.WARNING, "tokenbind") == (record.levelno, record.name)
    assert words in record.getMessage()
    assert authorization_server.url in record.getMessage()


@pytest.mark.parametrize("methods", [..., None, "tls_client_auth", 5])
def test_what_is_not_said_raises_no_doubt(authorization_server, fetch, caplog, methods):
    """Most that do not list their methods have them."""
    authorization_server.metadata = {"token_endpoint_auth_methods_supported": methods}
    fetch()
    assert [] == caplog.records


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_server_that_is_just_away_is_asked_again(authorization_server, fetch, pauses, status):
    """Twice, with short pauses of no even length; then that is its answer."""
    authorization_server.answers = [answer(f"{status} Oops", body=b"<html>") for _ in range(2)]
    fetch()
    assert [METADATA, "/token", "/token", "/token"] == authorization_server.paths()
    assert all(low <= pause <= high for low, pause, high in zip((0.075, 0.225), pauses, (0.125, 0.375), strict=True))

    authorization_server.answers = [answer(f"{status} Oops", body=b"<html>") for _ in range(3)]
    unreachable(fetch, f"it answered {status} with HTML")
    assert ([], 4) == (authorization_server.answers, len(pauses))


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        ("503 Busy", [("retry-after", "1")]),
        ("503 Busy", [("retry-after", "soon")]),
        ("429 Slow", []),
        ("500 Oops", []),
        ("400 No", []),
    ],
)
def test_a_server_that_answers_is_not_asked_again(authorization_server, fetch, pauses, status, headers):
    """Above all not one that asks to be left alone."""
    authorization_server.answers = [answer(status, {"error": "e"}, headers=headers)]
    with pytest.raises(GrantError) as caught:
        fetch()
    assert [METADATA, "/token"] == authorization_server.paths()
    assert (1 if ("retry-after", "1") in headers else None) == caught.value.retry_after_seconds
    assert [] == pauses


def test_busy_metadata_says_for_how_long(saying, tokenbind_kit, tokenbind_client):
    """The server's wish is passed on."""
    url = saying(b"HTTP/1.1 429 Slow\r\nRetry-After: 21600\r\nContent-Length: 0\r\n\r\n").removesuffix("/")
    grant = ClientCredentials(url, client_id="c", ca=tokenbind_kit.ca_pem)
    with pytest.raises(ClientError, match="answered 429") as caught:
        grant.fetch(tokenbind_client.identity.current())
    assert 21600 == caught.value.retry_after_seconds


@pytest.mark.parametrize("junk", [{"body": b" " * 70_000}, {"members": {}, "headers": [("content-encoding", "br")]}])
def test_a_busy_server_is_left_alone_whatever_its_answer_is(authorization_server, fetch, pauses, junk):
    """A large page, or one that we cannot read."""
    headers = [("retry-after", "30"), *junk.pop("headers", [])]
    authorization_server.answers = [answer("503 Busy", headers=headers, **junk)]
    assert 30 == unreachable(fetch, "answered 503 with").retry_after_seconds
    assert [] == pauses

    authorization_server.answers = [answer("503 Busy", headers=headers[1:], **junk)]
    fetch()
    assert 1 == len(pauses)


def test_each_attempt_has_a_jwt_of_its_own(authorization_server, grant_of, tokenbind_client, pauses):
    """The server may have read the first one before it went away."""
    key = SigningKey.generate()
    authorization_server.clients["billing"] = {"method": "private_key_jwt", "key": key}
    authorization_server.answers = [answer("502 Oops")]
    grant_of(ClientCredentials, authentication=PrivateKeyJWT(key)).fetch(tokenbind_client.identity.current())
    first, second = (dict(form)["client_assertion"] for form in authorization_server.forms)
    assert first != second


def test_a_connection_that_is_refused_is_tried_again(fetch, pauses):
    """Of the metadata and of the endpoint alike; the form is not shown."""
    nobody = "https://127.0.0.1:1"
    assert "billing" not in str(unreachable(fetch, "cannot be reached: ConnectionRefusedError", token_endpoint=nobody))
    assert 2 == len(pauses)


def test_nobody_at_the_issuers_address(tokenbind_kit, tokenbind_client, pauses):
    """Its metadata is asked for three times, and no more."""
    grant = ClientCredentials("https://127.0.0.1:1", client_id="c", ca=tokenbind_kit.ca_pem)
    with pytest.raises(ClientError, match="no token: .*well-known.* ConnectionRefusedError"):
        grant.fetch(tokenbind_client.identity.current())
    assert 2 == len(pauses)


def test_no_attempt_begins_after_the_end(fetch):
    """timeout_seconds is for all of them together."""
    unreachable(fetch, "ConnectionRefused", token_endpoint="https://127.0.0.1:1", timeout_seconds=0.05)


def read_request(connection):
    """All of it: who leaves before has the connection reset, and what it has answered may be lost."""
    left = int(re.search(r"(?i)content-length: (\d+)", read_head(connection))[1])
    while left:
        left -= len(connection.recv(left))


@pytest.fixture
def hostile(tls_listening, fetch):
    """Ask a server for a token that does *handle* with each connection; gives the error and the number of those."""

    def ask(handle, **options):
        connections = []

        def counted(connection):
            connections.append(connection)
            handle(connection)

        url = f"https://127.0.0.1:{tls_listening(counted)}/"
        return unreachable(fetch, "no token: ", token_endpoint=url, **options), len(connections)

    return ask


def test_a_server_that_breaks_off_is_asked_again(hostile, pauses):
    """Whether it reads the request or not."""
    error, times = hostile(read_request)
    assert (True, 3) == ("RemoteDisconnected" in str(error), times)
    error, times = hostile(lambda connection: None)
    assert ("cannot be reached" in str(error), times) == (True, 3)
    assert 4 == len(pauses)


def test_a_server_that_breaks_off_in_its_answer_is_not(hostile, pauses):
    """It has read the request, and has done what it does."""

    def half(connection):
        read_request(connection)
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"access_token": "s3cret')

    error, times = hostile(half)
    assert ("ProtocolError" in str(error), times, pauses) == (True, 1, [])
    assert "s3cret" not in str(error)


def test_a_server_that_hangs_is_given_up(hostile):
    """After timeout_seconds, with or without a drip."""
    for dripping in (False, True):

        def hang(connection, dripping=dripping):
            read_request(connection)
            while not select([connection], [], [], 0.05)[0] or connection.recv(65_536):
                connection.sendall(b"H" if dripping else b"")

        error, times = hostile(hang, timeout_seconds=0.4)
        assert ("did not answer within" in str(error), times) == (True, 1)


def test_an_answer_of_100_megabytes_is_not_read(hostile):
    """A token is small."""
    sent = []

    def flood(connection):
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while sum(sent) < 100_000_000:
            sent.append(connection.send(b" " * 65_536))

    error, times = hostile(flood)
    assert ("more than 65536 bytes" in str(error), times) == (True, 1)
    assert sum(sent) < 50_000_000


def test_a_server_of_another_ca_gets_nothing(authorization_server, grant_of, tokenbind_client):
    """Neither certificate nor form."""
    for trusted in (trustme.CA().cert_pem.bytes(), None):
        for endpoint in (None, f"{authorization_server.url}/token"):
            grant = grant_of(ClientCredentials, ca=trusted, token_endpoint=endpoint)
            with pytest.raises(ClientError, match="SSLCertVerificationError .*ca= says who vouches"):
                grant.fetch(tokenbind_client.identity.current())
    assert [] == authorization_server.asked


def test_the_ca_may_change(authorization_server, grant_of, tokenbind_kit, tokenbind_client):
    """Whoever vouches now is asked at each request: of the metadata, and of the endpoint."""

    class Source:
        anchors = Anchors(1, tokenbind_kit.ca_pem)

        def current(self):
            return self.anchors

    source = Source()
    grant, identity = grant_of(ClientCredentials, ca=source), tokenbind_client.identity.current()
    grant.fetch(identity)
    source.anchors = Anchors(2, BindingKit().ca_pem)
    with pytest.raises(ClientError, match="SSLCertVerificationError"):
        grant.fetch(identity)
    source.anchors = Anchors(3, BindingKit().ca_pem + tokenbind_kit.ca_pem)
    grant.fetch(identity)
    assert 2 == len(authorization_server.forms)


def test_the_ca_may_be_a_file(fetch, tokenbind_kit, tmp_path):
    """By its name."""
    file = tmp_path / "ca.pem"
    file.write_bytes(tokenbind_kit.ca_pem)
    for name in (file, str(file)):
        assert 300 == fetch(ca=name).expires_in_seconds


def test_everything_goes_through_the_proxy(authorization_server, tls_listening, proxying, tokenbind_kit, fetch):
    """It sees where we go, and neither token nor certificate; the environment's proxy is not ours."""
    host, port = "127.0.0.1", int(authorization_server.url.rpartition(":")[2])
    proxy, heads = proxying({f"{host}:{port}": port})
    assert 300 == fetch(proxy=f"http://{host}:{proxy}").expires_in_seconds
    assert 2 == len(heads)
    assert all(head.startswith(f"CONNECT {host}:{port} ") for head in heads)
    assert all("billing" not in head for head in heads)


def test_no_proxy_of_the_environment_is_used(proxying, fetch, monkeypatch):
    """It was not asked for."""
    proxy, heads = proxying({})
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy}")
    fetch()
    assert [] == heads


def test_a_proxy_that_reads_along_is_found_out(authorization_server, tls_listening, proxying, fetch):
    """TLS is with the server: one that ends TLS itself has no certificate for its name."""
    port = authorization_server.url.rpartition(":")[2]
    middle = tls_listening(lambda connection: connection.recv(65_536), ca=trustme.CA())
    proxy, heads = proxying({f"127.0.0.1:{port}": middle})
    unreachable(fetch, "through the proxy: SSLCertVerificationError", proxy=f"http://127.0.0.1:{proxy}")
    assert (1, []) == (len(heads), authorization_server.asked)


def test_threads_may_share_a_grant(authorization_server, grant_of, tokenbind_kit, tokenbind_client):
    """And identities: each gets the token of its own."""
    key = SigningKey.generate()
    authorization_server.clients["billing"] = {"method": "private_key_jwt", "key": key}
    grant = grant_of(ClientCredentials, authentication=PrivateKeyJWT(key))
    clients = [tokenbind_client, tokenbind_kit.client("stranger")] * 4
    results = {}

    def run(number):
        results[number] = grant.fetch(clients[number].identity.current()).access_token

    threads = [Thread(target=run, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [True] * 8 == [authorization_server.holds(results[number], clients[number]) for number in range(8)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NAMES = (
    "mtls_endpoint_aliases",
    "token_endpoint",
    "tls_client_certificate_bound_access_tokens",
    "token_endpoint_auth_methods_supported",
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(NAMES), JSON | st.just("https://as.example/token")), JSON)
def test_any_metadata_leads_to_the_issuer_or_to_our_error(monkeypatch, tokenbind_kit, identity, metadata, alias):
    """Totality, and nowhere else."""
    asked = []

    def discover(issuer, **options):
        return token_endpoint.ServerMetadata(issuer, {**metadata, "issuer": issuer})

    def fetch(url, **options):
        asked.append(url)
        raise FetchError("no answer")

    if isinstance(metadata.get("mtls_endpoint_aliases"), dict):
        metadata["mtls_endpoint_aliases"]["token_endpoint"] = alias
    monkeypatch.setattr(token_endpoint, "discover", discover)
    monkeypatch.setattr(token_endpoint, "fetch", fetch)
    grant = ClientCredentials("https://as.example", client_id="c", ca=tokenbind_kit.ca_pem)
    with pytest.raises(ClientError):
        grant.fetch(identity)
    assert all(url.startswith("https://as.example") for url in asked)
