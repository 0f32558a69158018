"""`requests` through proxies: by argument, plain or over TLS of their own; every client is asked about the rest."""

import pytest
from requests.exceptions import ProxyError, SSLError
import trustme

from tokenbind import ConfigurationError
from tokenbind.client.requests import BoundTokenSession

from .serving import Proxy, Recorder
from .test_every_client_leaks import saw_nothing


@pytest.fixture
def open_session(api, client, grant):
    """Opens one of ours."""
    options = {"origin": api.url, "ca": api.kit.ca_pem}
    return lambda **more: BoundTokenSession(client.identity, grant, **(options | more))


def test_by_argument_of_a_request(open_session, api, client):
    """A refused request goes through it again."""
    with Proxy() as proxy, open_session() as session:
        assert 200 == session.get(f"{api.url}/refuse-once", proxies={"https": proxy.url}).status_code
        assert 1 == len(proxy.heads)
        saw_nothing(proxy, api, client)


def test_its_password_is_for_the_proxy_alone(open_session, api):
    """And is not sent to the API."""
    with Proxy() as proxy, open_session() as session:
        url = proxy.url.replace("http://", "http://user:password@")
        assert 200 == session.get(api.url, proxies={"https": url}).status_code
        assert "\r\nProxy-Authorization: Basic dXNlcjpwYXNzd29yZA==\r\n" in proxy.heads[0]
    assert "Bearer" == api.seen[0].authorization.partition(" ")[0]


def test_a_proxy_over_tls_has_a_ca_of_its_own(open_session, api, client):
    """Our certificate is not for it, though it asks; without ``proxy_ca=`` it must be known to the system."""
    ca = trustme.CA()
    with Proxy(ca) as proxy:
        with open_session(proxy_ca=ca.cert_pem.bytes()) as session:
            session.proxies["https"] = proxy.url
            assert [200] * 2 == [session.get(api.url).status_code for _ in range(2)]
            assert 1 == len(proxy.heads)
        for options in ({}, {"proxy_ca": api.kit.ca_pem}):
            with (
                open_session(**options) as session,
                pytest.raises(ProxyError, match="VERIFY_FAILED"),
            ):
                session.get(api.url, proxies={"https": proxy.url})
        assert 1 == len(proxy.heads)
        saw_nothing(proxy, api, client)
    assert {client.thumbprint} == {seen.thumbprint for seen in api.seen}


def test_the_ca_of_a_proxy_does_not_vouch_for_the_server(open_session, api, client):
    """A proxy that leads us elsewhere may be whom it likes."""
    ca = trustme.CA()
    with Recorder(ca) as foreign, Proxy(ca) as proxy:
        with open_session(origin=foreign.url, proxy_ca=ca.cert_pem.bytes()) as session:
            with pytest.raises(SSLError, match="VERIFY_FAILED"):
                session.get(foreign.url, proxies={"https": proxy.url})
        assert (1, []) == (foreign.connections, foreign.certificates)
        saw_nothing(proxy, api, client)


def test_a_ca_that_is_none_is_refused_at_once(open_session):
    """Before the first request."""
    with pytest.raises(ConfigurationError, match="no PEM certificates"):
        open_session(proxy_ca=b"no PEM")
