"""Where each client must not be led: a foreign host gets neither request, nor token, nor certificate."""

import pytest
import requests
import trustme

from tokenbind import OriginRefused

from .serving import Proxy, Recorder, not_trusting_the_server, wait_until


REFUSAL = b"HTTP/1.1 401 x\r\nWWW-Authenticate: Bearer error=invalid_token\r\nContent-Length: 0\r\n\r\n"


def test_foreign_hosts_record_what_a_plain_session_sends(api, client, tmp_path):
    """The control of all that follow: the certificate on the same host, and the body of a POST (not the token)."""
    (tmp_path / "ca.pem").write_bytes(api.kit.ca_pem)
    session = requests.Session()
    session.trust_env = False
    session.cert = tuple(str(path) for path in client.write(tmp_path))
    session.verify = str(tmp_path / "ca.pem")
    session.headers["Authorization"] = f"Bearer {api.kit.mint(client)}"
    with session, Recorder(api.kit.ca, "localhost") as foreign:
        session.post(f"{api.url}/redirect?{foreign.url}/x", data=b"client_assertion=secret")
        assert (1, [client.peer.der]) == (foreign.connections, foreign.certificates)
        wait_until(lambda: b"secret" in foreign.bytes)


@pytest.mark.parametrize(
    ("name", "answer"),
    [("127.0.0.1", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), ("localhost", REFUSAL)],
    ids=["port", "host"],
)
def test_a_redirect_to_another_host_or_port(api, open_client, grant, name, answer):
    """No connection is made; so what it would answer, a 401 for a fresh token, is not heard either."""
    with Recorder(api.kit.ca, name, answer) as foreign:
        url = f"{api.url}/redirect?{foreign.url}/x"
        caller = open_client()
        with pytest.raises(OriginRefused, match="nothing was sent there"):
            caller.call(url)
        assert 302 == caller.call(url, follow_redirects=False).status
        assert (0, 1) == (foreign.connections, len(grant.asked))


def test_a_redirect_that_would_send_the_body_again(api, open_client):
    """307 and 308 send a form elsewhere as it is, with whatever secrets are in it."""
    with Recorder(api.kit.ca, "localhost") as foreign:
        with pytest.raises(OriginRefused):
            open_client().call(f"{api.url}/redirect?{foreign.url}/x", "POST", body=b"client_assertion=secret")
        assert 0 == foreign.connections


def test_a_redirect_to_another_scheme(api, caller_kind, open_client):
    """The mounted adapter is not asked about http; requests itself sends what it has, and that is nothing of ours."""
    with Recorder(None) as foreign:
        url = f"{api.url}/redirect?{foreign.url}/x"
        if caller_kind.name.endswith("-mounted"):
            assert 200 == open_client().call(url).status
            assert ["GET /x HTTP/1.1"] == [head.splitlines()[0] for head in foreign.heads]
            assert "authorization" not in foreign.heads[0].lower()
        else:
            with pytest.raises(OriginRefused):
                open_client().call(url)
            assert 0 == foreign.connections


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:{port}@localhost:{foreign}/",
        "https://127.0.0.1.evil.org:{port}/",
        "https://localhost:{port}/",
        "https://127.0.0.1:{foreign}/",
        "https://127.0.0.1/",
    ],
)
def test_what_only_looks_like_the_origin(api, open_client, grant, url):
    """Not even a name is looked up, and no token is fetched."""
    with Recorder(api.kit.ca, "localhost") as foreign:
        with pytest.raises(OriginRefused, match="nothing was sent"):
            open_client().call(url.format(port=api.server.port, foreign=foreign.port))
        assert (0, [], []) == (foreign.connections, api.seen, grant.asked)


def test_the_origin_in_other_letters(api, open_client):
    """RFC 3986 §6.2.2.1: scheme and host have no case."""
    assert 200 == open_client().call(f"HTTPS://127.0.0.1:{api.server.port}/").status


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:{port}@evil.example"])
def test_another_name_in_the_host_header(api, open_client, grant, host):
    """By it a server of many names, such as that of a CDN, chooses who gets the request."""
    with pytest.raises(OriginRefused, match="Host header"):
        open_client().call(api.url, headers={"Host": host.format(port=api.server.port)})
    assert ([], []) == (api.seen, grant.asked)


def test_the_origin_in_the_host_header(api, open_client):
    """As some do who write their requests by hand."""
    assert 200 == open_client().call(api.url, headers={"Host": f"127.0.0.1:{api.server.port}"}).status


def test_netrc_has_no_say(api, open_client, monkeypatch, tmp_path):
    """Neither on the first request nor after a redirect on the origin, where requests writes Basic over a Bearer."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert 200 == open_client().call(f"{api.url}/redirect?/other").status
    assert ["Bearer"] * 2 == [seen.authorization.partition(" ")[0] for seen in api.seen]


def test_ca_bundles_of_the_environment_have_no_say(api, open_client, monkeypatch, tmp_path):
    """A server of a CA that is named there alone gets nothing; one that is named in ``ca=`` alone is welcome."""
    rogue = trustme.CA()
    rogue.cert_pem.write_to_path(tmp_path / "rogue.pem")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "rogue.pem"))
    with Recorder(rogue) as foreign:
        with not_trusting_the_server():
            open_client(origin=foreign.url).call(foreign.url)
        assert ([], []) == (foreign.certificates, foreign.heads)
        assert 200 == requests.get(foreign.url, timeout=20).status_code
    assert 200 == open_client().call(api.url).status


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY"])
def test_proxies_of_the_environment_see_nothing(api, caller_kind, open_client, client, monkeypatch, name):
    """Ours are not led through them; a session of the caller's may be, as it is used to."""
    with Proxy() as proxy:
        monkeypatch.setenv(name, proxy.url)
        assert 200 == open_client().call(api.url).status
        assert (1 if caller_kind.name == "requests-mounted" else 0) == proxy.connections
        saw_nothing(proxy, api, client)


def test_a_proxy_sees_where_we_go_and_nothing_else(api, open_client, client):
    """Token and certificate are inside of TLS with the server (RFC 8446 hides the certificate, too)."""
    with Proxy() as proxy:
        caller = open_client(proxy=proxy.url)
        assert [200] * 2 == [caller.call(api.url).status for _ in range(2)]
        assert [f"CONNECT 127.0.0.1:{api.server.port}"] == [head.partition(" HTTP/")[0] for head in proxy.heads]
        saw_nothing(proxy, api, client)
    assert {client.thumbprint} == {seen.thumbprint for seen in api.seen}


def test_a_proxy_that_plays_the_server_sees_nothing(api, open_client, client):
    """It shows a certificate of its own and asks for ours."""
    with Proxy(hostile=trustme.CA()) as proxy:
        with not_trusting_the_server():
            open_client(proxy=proxy.url).call(api.url)
        assert 1 == len(proxy.heads)
        saw_nothing(proxy, api, client)
    assert [] == api.seen


def saw_nothing(proxy, api, client):
    assert [] == proxy.certificates
    assert not any("authorization" in head.lower() for head in proxy.heads)
    for secret in (client.peer.der, b"Bearer", *(seen.token.encode() for seen in api.seen)):
        assert secret not in proxy.bytes
