"""The certificate in the event of AWS API Gateway."""

import pytest

from tokenbind import InvalidRequest, PeerCertificate, Reason, Unavailable
from tokenbind.peer import forwarded


SOURCE = forwarded.aws_api_gateway()


def events(client_certificate):
    """Events of both payloads, to a function and to an authorizer, as far as we look at them."""
    identity = {"sourceIp": "192.0.2.1", "clientCert": client_certificate}
    authentication = None if client_certificate is None else {"clientCert": client_certificate}
    http = {"method": "GET", "path": "/"}
    yield {"version": "1.0", "headers": {}, "requestContext": {"identity": identity, "stage": "x"}}
    yield {"resource": "/", "type": "REQUEST", "requestContext": {"identity": identity}}
    yield {"version": "2.0", "headers": {}, "requestContext": {"http": http, "authentication": authentication}}


def everywhere(event):
    yield lambda: SOURCE.from_event(event)
    yield lambda: SOURCE.from_scope({"type": "http", "headers": [], "aws.event": event})
    for key in ("apig_wsgi.full_event", "serverless.event", "awsgi.event"):
        yield lambda key=key: SOURCE.from_environ({key: event})


def test_the_certificate_of_an_event(tokenbind_kit):
    """Both payloads, through each bridge: the leaf, whose chain API Gateway has verified."""
    client = tokenbind_kit.client()
    for event in events({"clientCertPem": client.pem, "subjectDN": "CN=client"}):
        for ask in everywhere(event):
            found = ask()
            assert PeerCertificate(client.thumbprint, (client.peer.der,), "forwarded.aws_api_gateway", True) == found


def test_an_event_without_a_certificate():
    """API Gateway says so itself: execute-api, and domains without mutual TLS."""
    for absent in (None, {}, {"clientCertPem": None}, {"clientCertPem": ""}):
        assert {None} == {ask() for event in events(absent) for ask in everywhere(event)}
    assert None is SOURCE.from_event({"requestContext": {"http": {}}})
    assert None is SOURCE.from_event({"requestContext": {"identity": None}})


@pytest.mark.parametrize("certificate", ["x", 1, [], {"clientCertPem": "x"}, {"clientCertPem": b"x"}, b"x"])
def test_an_event_with_something_else(certificate):
    for event in events(certificate):
        for ask in everywhere(event):
            with pytest.raises(InvalidRequest) as refusal:
                ask()
            assert Reason.CERTIFICATE_MALFORMED == refusal.value.reason


def test_two_certificates_where_one_belongs(tokenbind_kit):
    both = tokenbind_kit.client("a").pem + tokenbind_kit.client("b").pem
    for event in events({"clientCertPem": both}):
        with pytest.raises(InvalidRequest, match="more than one"):
            SOURCE.from_event(event)


@pytest.mark.parametrize(
    "event",
    [None, "{}", {}, {"requestContext": None}, {"requestContext": {"elb": {}}}, {"headers": {"requestContext": "x"}}],
)
def test_no_event_of_api_gateway(event):
    """Another server, a load balancer, or an invocation by hand: there is no knowing."""
    for ask in everywhere(event):
        with pytest.raises(Unavailable) as refusal:
            ask()
        assert Reason.CERTIFICATE_SOURCE_MISSING == refusal.value.reason


def test_what_a_client_sends_is_no_event(tokenbind_kit):
    """Neither headers nor the process environment are looked at."""
    with pytest.raises(Unavailable):
        SOURCE.from_request([(b"aws.event", tokenbind_kit.client().pem.encode())])
    with pytest.raises(Unavailable):
        SOURCE.from_environ({"serverless.event": "x", "HTTP_SERVERLESS_EVENT": "x"})
    assert frozenset() == SOURCE.hidden_headers
