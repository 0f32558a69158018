"""Attacks 18 and 63-66 on the request around a good token, through both middlewares over real mutual TLS."""

import base64
import ssl
from urllib.parse import quote

import pytest

from tokenbind import Reason
from tokenbind.monitoring import Accepted

from .asserting import assert_no_token_text
from .serving import bearer, refusal


@pytest.fixture
def token(kit):
    return kit.mint(kit.client())


def named(attack, variants):
    return [pytest.param(*values, id=f"attack-{attack}-{name}") for name, values in variants.items()]


def assert_malformed(service, reason, answer):
    assert reason == service.reason
    assert refusal(400, "invalid_request", service.kit.monitor.refused[-1].reference) == answer


def assert_no_token_found(service, answer):
    """RFC 6750 §3.1: a request without authentication information is told no error code."""
    reference = service.kit.monitor.refused[-1].reference
    assert (Reason.TOKEN_MISSING, 401) == (service.reason, answer.status)
    assert 'Bearer realm="api"' == answer.headers["www-authenticate"]
    said = {"error": "unauthorized", "error_description": "An access token is needed", "reference": reference}
    assert said == answer.json


FORWARDED = [
    "Client-Cert",
    "Client_Cert",
    "X-SSL-Client-Cert",
    "X-Client-Cert",
    "SSL-Client-Cert",
    "SSL_CLIENT_CERT",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-Tls-Client-Cert",
    "X-Amzn-Mtls-Clientcert-Leaf",
    "X-ARR-ClientCert",
    "Cf-Client-Cert-Der-Base64",
    "X-SSL-Client-SHA256",
    "Tokenbind.Socket",
    "Tokenbind-Socket",
]


def forwarded(client):
    """Every header that a proxy somewhere writes a certificate into, with the one of *client*."""
    der = base64.b64encode(client.peer.der).decode()
    spellings = (
        f":{der}:",
        quote(ssl.DER_cert_to_PEM_cert(client.peer.der)),
        f'Hash={client.peer.thumbprint};Cert="{quote(client.pem)}"',
        der,
    )
    return [[f"{name}: {value}".encode() for name in FORWARDED] for value in spellings]


@pytest.mark.parametrize(
    ("thief", "reason"),
    named(
        18,
        {
            "no-certificate": (lambda kit: None, Reason.CERTIFICATE_MISSING),
            "a-proxy-of-the-same-ca": (lambda kit: kit.client("proxy"), Reason.CERTIFICATE_MISMATCH),
        },
    ),
)
def test_forwarded_certificates_are_not_looked_at(service, token, thief, reason):
    """Attack 18: where TLS ends here, the connection's certificate counts, and no header is mixed with it."""
    kit = service.kit
    for lines in forwarded(kit.client()):
        answer = service.ask_with(thief(kit), token, *lines)
        assert reason == service.reason
        assert refusal(401, "invalid_token", kit.monitor.refused[-1].reference) == answer
    for lines in forwarded(kit.client("proxy")):
        assert kit.client().thumbprint == service.ask_with(kit.client(), token, *lines).json["thumbprint"]


@pytest.mark.parametrize(
    ("values", "over_asgi", "over_wsgi"),
    named(
        63,
        {
            "same-twice": (["Bearer {}", "Bearer {}"], "authorization_repeated", "authorization_malformed"),
            "good-then-bad": (["Bearer {}", "Bearer a.b.c"], "authorization_repeated", "authorization_malformed"),
            "bad-then-good": (["Bearer a.b.c", "Bearer {}"], "authorization_repeated", "authorization_malformed"),
            "good-then-basic": (["Bearer {}", "Basic YTpi"], "authorization_repeated", "authorization_malformed"),
            "good-then-empty": (["Bearer {}", ""], "authorization_repeated", "authorization_malformed"),
            # WSGI servers have joined the two with a comma, so that the scheme is another.
            "basic-then-good": (["Basic YTpi", "Bearer {}"], "authorization_repeated", "token_missing"),
            "empty-then-good": (["", "Bearer {}"], "authorization_repeated", "token_missing"),
            "comma": (["Bearer {}, Bearer {}"], "authorization_malformed", "authorization_malformed"),
            "comma-without-space": (["Bearer {},{}"], "authorization_malformed", "authorization_malformed"),
            "comma-after": (["Bearer {},"], "authorization_malformed", "authorization_malformed"),
            "two-tokens": (["Bearer {} {}"], "authorization_malformed", "authorization_malformed"),
        },
    ),
)
def test_more_than_one_token(service, token, values, over_asgi, over_wsgi):
    """Attack 63: two Authorization headers, or two credentials in one, are refused, even if one would do."""
    names = ("Authorization", "AUTHORIZATION")
    lines = [f"{name}: {value.format(token, token)}".encode() for name, value in zip(names, values, strict=False)]
    answer = service.ask(service.kit.client(), *lines)
    reason = over_asgi if service.interface == "asgi" else over_wsgi
    if reason == Reason.TOKEN_MISSING:
        assert_no_token_found(service, answer)
    else:
        assert_malformed(service, reason, answer)


QUERIES = {
    "plain": "access_token={}",
    "percent-encoded": "access%5Ftoken={}",
    "percent-encoded-lower": "access%5ftoken={}",
    "all-encoded": "%61%63%63%65%73%73%5F%74%6F%6B%65%6E={}",
    "not-the-first": "a=1&access_token={}",
    "semicolon": "a=1;access_token={}",
    "after-nothing": "&&access_token={}",
    "without-a-value": "access_token",
    "empty": "access_token=",
    "twice": "access_token={}&access_token={}",
}


@pytest.mark.parametrize("query", named(64, {name: (query,) for name, query in QUERIES.items()}))
@pytest.mark.parametrize("header_too", [True, False], ids=["beside-the-header", "alone"])
def test_token_in_the_query(service, token, query, header_too, caplog):
    """Attack 64: access_token in the query gets 400, in whatever spelling, and beside a good header too."""
    lines = [bearer(token)] if header_too else []
    answer = service.ask(service.kit.client(), *lines, target=f"/?{query.format(token, token)}".encode())
    assert_malformed(service, Reason.TOKEN_IN_QUERY, answer)
    assert_no_token_text(token, caplog.text)


@pytest.mark.parametrize("name", ["token", "access_tokens", "my_access_token", "access%255Ftoken", "a=access_token"])
def test_attack_64_other_parameters(service, token, name):
    """Attack 64, the negative twin: other parameters are the application's own."""
    target = f"/?{name}={token}".encode()
    assert 200 == service.ask_with(service.kit.client(), token, target=target).status
    assert_no_token_found(service, service.ask(service.kit.client(), target=target))


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/plain"])
def test_attack_64_token_in_the_body(service, token, kind):
    """Attack 64: a token in the body is no token, and the body is the application's, unread."""
    body = f"access_token={token}".encode()
    options = {"method": b"POST", "body": body}
    content_type = f"Content-Type: {kind}".encode()
    assert_no_token_found(service, service.ask(service.kit.client(), content_type, **options))
    answer = service.ask_with(service.kit.client(), token, content_type, **options)
    assert (200, body.decode()) == (answer.status, answer.json["body"])


@pytest.mark.parametrize("name", ["Cookie: access_token=", "X-Access-Token: ", "Proxy-Authorization: Bearer "])
def test_attack_64_token_in_another_header(service, token, name):
    """Attack 64: no other header carries a token."""
    assert_no_token_found(service, service.ask(service.kit.client(), f"{name}{token}".encode()))


MALFORMED = {
    "scheme-alone": b"Bearer",
    "scheme-and-spaces": b"Bearer   ",
    "tab-after-the-space": b"Bearer \t{}",
    "latin-1-after": b"Bearer {}\xe9",
    "latin-1-before": b"Bearer \xff{}",
    "no-break-space": b"Bearer {}\xa0x",
    "utf-8": b"Bearer \xe2\x98\x83",
    "quoted": b'Bearer "{}"',
    "parameter": b'Bearer token="{}"',
    "space-inside": b"Bearer {} x",
    "percent": b"Bearer %20{}",
}
NO_TOKEN = {
    "empty": b"",
    "tab-separator": b"Bearer\t{}",
    "no-break-space-separator": b"Bearer\xa0{}",
    "latin-1-scheme": b"B\xe9arer {}",
    "comma-before": b", Bearer {}",
    "token-alone": b"{}",
}
BEFORE_US = {
    "nul": b"Bearer {}\0",
    "nul-inside": b"Bearer a\0{}",
    "nul-separator": b"Bearer\0{}",
    "bare-cr": b"Bearer \r{}",
    "bare-lf": b"Bearer a\n{}",
    "folded": b"Bearer\r\n {}",
    "folded-inside": b"Bearer a\r\n {}",
    "crlf": b"Bearer a\r\n{}",
}


def authorization(value, token):
    return b"Authorization: " + value.replace(b"{}", token.encode())


@pytest.mark.parametrize("value", named(65, {name: (value,) for name, value in MALFORMED.items()}))
def test_malformed_header(service, token, value, caplog):
    """Attack 65: what is no b64token after the scheme gets 400, and is logged nowhere."""
    assert_malformed(
        service,
        Reason.AUTHORIZATION_MALFORMED,
        service.ask(service.kit.client(), authorization(value, token)),
    )
    assert_no_token_text(token, caplog.text)


@pytest.mark.parametrize("value", named(65, {name: (value,) for name, value in NO_TOKEN.items()}))
def test_no_bearer_header(service, token, value):
    """Attack 65: what does not begin with the scheme and a space holds no token."""
    assert_no_token_found(service, service.ask(service.kit.client(), authorization(value, token)))


@pytest.mark.parametrize("value", named(65, {name: (value,) for name, value in BEFORE_US.items()}))
def test_control_characters(service, token, value, caplog):
    """Attack 65: control characters are refused by the server or by the guard, and no token is ever put together."""
    accepted = len(service.kit.monitor.accepted)
    assert service.ask(service.kit.client(), authorization(value, token)).status in (400, 401)
    assert accepted == len(service.kit.monitor.accepted)
    assert_no_token_text(token, caplog.text)


@pytest.mark.parametrize("scheme", named(66, {scheme: (scheme,) for scheme in ("bEaReR", "BEARER", "bearer")}))
@pytest.mark.parametrize("spaces", [" ", "   "], ids=["one-space", "three-spaces"])
def test_scheme_in_any_case(service, token, scheme, spaces):
    """Attack 66: the scheme has no case, and may be followed by more than one space."""
    answer = service.ask(service.kit.client(), f"Authorization: {scheme}{spaces}{token}".encode())
    assert (200, service.kit.client().thumbprint) == (answer.status, answer.json["thumbprint"])
    assert isinstance(service.kit.monitor.events[-1], Accepted)


OTHER_SCHEMES = {
    "dpop": "DPoP ",
    "basic": "Basic ",
    "mac": "MAC ",
    "glued": "Bearer",
    "colon": "Bearer:",
    "s": "Bearers ",
}


@pytest.mark.parametrize("scheme", named(66, {name: (scheme,) for name, scheme in OTHER_SCHEMES.items()}))
def test_other_schemes(service, token, scheme):
    """Attack 66: another scheme is told what is needed, and no error."""
    answer = service.ask(service.kit.client(), f"Authorization: {scheme}{token}".encode())
    assert_no_token_found(service, answer)


def test_attack_66_no_header_at_all(service):
    """Attack 66: so is a request without the header."""
    assert_no_token_found(service, service.ask(service.kit.client()))
    assert_no_token_found(service, service.ask(None))
