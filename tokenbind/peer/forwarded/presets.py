"""One preset a product: which form its header has, and which words it has for "no certificate"."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial

from ...errors import ConfigurationError
from ..fields import header_name
from ..trust import Trust
from . import base64_der, byte_sequence, digest, one_line_pem, percent_pem, xfcc
from .aws import EventSource
from .source import Dialect, ForwardedSource, Found


__all__ = [
    "apache",
    "aws_alb",
    "aws_api_gateway",
    "azure_app_service",
    "azure_application_gateway",
    "caddy",
    "cloudflare",
    "envoy",
    "gcp",
    "haproxy",
    "ingress_nginx",
    "nginx",
    "rfc9440",
    "sha256",
    "traefik",
]

_Hosts = Collection[str] | None

# What products say of the chain in their verify_header.
_WORDS = {b"SUCCESS": True, b"FAILED": False, b"GENEROUS": False}
_CODES = {b"%d" % code: code == 0 for code in range(256)}  # of OpenSSL: X509_V_OK is 0
_TRUE_OR_FALSE = {b"true": True, b"false": False}


def rfc9440(
    *,
    trusted_proxy: Trust,
    header: str = "Client-Cert",
    chain_header: str | None = "Client-Cert-Chain",
    hosts: _Hosts = None,
) -> ForwardedSource:
    """Any proxy that does as RFC 9440 says: ``:base64 of the DER:``, and nothing at all without a certificate.

    Args:
        trusted_proxy, header, hosts: See `tokenbind.peer.forwarded`.
        chain_header: The rest of the chain, a list; None: the proxy does not send it. It must clear or overwrite both.
    """
    chain = None if chain_header is None else header_name(chain_header, "chain_header")
    return _source("rfc9440", header, byte_sequence.read, trusted_proxy, hosts, chain_header=chain)


def nginx(
    *, header: str, trusted_proxy: Trust, hosts: _Hosts = None, verify_header: str | None = None
) -> ForwardedSource:
    """nginx: ``proxy_set_header X-K7Qd2-Cert $ssl_client_escaped_cert;``

    Also for Kong, and whatever else escapes PEM text.

    *verify_header* is ``$ssl_client_verify``. ``$ssl_client_fingerprint`` is a SHA-1, and of no use.
    """
    return _source("nginx", header, percent_pem.read, trusted_proxy, hosts, verify_header, _WORDS)


def ingress_nginx(
    *, trusted_proxy: Trust, hosts: Collection[str], verify_header: str | None = "ssl-client-verify"
) -> ForwardedSource:
    """ingress-nginx with ``auth-tls-secret`` and ``auth-tls-pass-certificate-to-upstream``: ``ssl-client-cert``.

    *hosts* are those of Ingresses that have both annotations; on any other host a client's own header passes.
    """
    _require(hosts, "an Ingress")
    return _source("ingress_nginx", "ssl-client-cert", percent_pem.read, trusted_proxy, hosts, verify_header, _WORDS)


def haproxy(
    *, header: str, trusted_proxy: Trust, hosts: _Hosts = None, verify_header: str | None = None
) -> ForwardedSource:
    """HAProxy: ``http-request set-header X-K7Qd2-Cert :%[ssl_c_der,base64]: if { ssl_c_used }``, after ``del-header``.

    *verify_header* is ``%[ssl_c_verify]``, of which 0 is good.
    """
    return _source("haproxy", header, byte_sequence.read, trusted_proxy, hosts, verify_header, _CODES, [b"::"])


def apache(
    *, header: str, trusted_proxy: Trust, hosts: _Hosts = None, verify_header: str | None = None
) -> ForwardedSource:
    """Apache httpd: ``RequestHeader set X-K7Qd2-Cert "%{SSL_CLIENT_CERT}s"``.

    *verify_header* is ``%{SSL_CLIENT_VERIFY}s``. For its ``escape`` function take `nginx`.
    """
    return _source("apache", header, one_line_pem.read, trusted_proxy, hosts, verify_header, _WORDS, [b"(null)"])


def caddy(*, header: str, trusted_proxy: Trust, hosts: _Hosts = None) -> ForwardedSource:
    """Caddy: ``header_up X-K7Qd2-Cert ":{http.request.tls.client.certificate_der_base64}:"``."""
    absent = [b"::", b":{http.request.tls.client.certificate_der_base64}:"]
    return _source("caddy", header, byte_sequence.read, trusted_proxy, hosts, absent=absent)


def envoy(*, trusted_proxy: Trust, hops: int = 1, hosts: _Hosts = None) -> ForwardedSource:
    """Envoy and what is made of it (Istio, Contour, Emissary, Azure Container Apps): ``X-Forwarded-Client-Cert``.

    ``forward_client_cert_details: SANITIZE_SET`` at the edge, ``set_current_client_cert_details: {cert: true}`` or no
    details, which gives the thumbprint alone.

    Args:
        trusted_proxy, hosts: See `tokenbind.peer.forwarded`.
        hops: How many Envoys have added an element, the client's own being the first: 2 behind a gateway and a sidecar.
    """
    if type(hops) is not int or not 1 <= hops <= 10:
        raise ConfigurationError("hops= takes the number of Envoys on the way, 1 to 10")
    return _source("envoy", "X-Forwarded-Client-Cert", partial(xfcc.read, hops=hops), trusted_proxy, hosts)


def traefik(*, trusted_proxy: Trust, hosts: _Hosts = None) -> ForwardedSource:
    """Traefik with the middleware ``passTLSClientCert: {pem: true}``: ``X-Forwarded-Tls-Client-Cert``, the whole chain.

    Do not set ``forwardedHeaders.insecure``: Traefik never clears what a client without a certificate sends, then. For
    WSGI, take a server that drops names with underscores: to any other, ``X_Forwarded_Tls_Client_Cert`` is the same.
    """
    return _source("traefik", "X-Forwarded-Tls-Client-Cert", base64_der.read_list, trusted_proxy, hosts)


def aws_alb(*, trusted_proxy: Trust, hosts: Collection[str], passthrough: bool = False) -> ForwardedSource:
    """AWS Application Load Balancer with mutual TLS: ``X-Amzn-Mtls-Clientcert-Leaf``, whose chain it has verified.

    Args:
        trusted_proxy, hosts: See `tokenbind.peer.forwarded`. Other listeners may let a client's own header pass.
        passthrough: Whether the listener is in that mode: ``X-Amzn-Mtls-Clientcert``, the whole chain, unverified.
    """
    _require(hosts, "a listener")
    if passthrough:
        header, read, verified = "X-Amzn-Mtls-Clientcert", percent_pem.read_chain, None
    else:
        header, read, verified = "X-Amzn-Mtls-Clientcert-Leaf", percent_pem.read, True
    return _source("aws_alb", header, read, trusted_proxy, hosts, chain_verified=verified)


def aws_api_gateway() -> EventSource:
    """AWS API Gateway (REST and HTTP APIs) with mutual TLS on its custom domain, in front of a Lambda function.

    Switch the ``execute-api`` endpoint off, which has no mutual TLS.
    """
    return EventSource()


def azure_app_service(*, trusted_proxy: Trust, hosts: _Hosts = None) -> ForwardedSource:
    """Azure App Service with client certificates *required*: ``X-ARR-ClientCert``. It verifies no chain."""
    return _source("azure_app_service", "X-ARR-ClientCert", base64_der.read, trusted_proxy, hosts)


def azure_application_gateway(
    *, header: str, trusted_proxy: Trust, hosts: Collection[str], verify_header: str | None = None
) -> ForwardedSource:
    """Azure Application Gateway, with a rewrite of *header* to ``{var_client_certificate}``.

    *verify_header* is ``{var_client_certificate_verification}``. Other listeners let a client's own header pass, unless
    a rewrite of theirs clears it; *hosts* are those of listeners with mutual TLS.
    """
    _require(hosts, "a listener")
    return _source("azure_application_gateway", header, percent_pem.read, trusted_proxy, hosts, verify_header, _WORDS)


def gcp(
    *, header: str, trusted_proxy: Trust, hosts: _Hosts = None, verify_header: str | None = None
) -> ForwardedSource:
    """Google Cloud Application Load Balancer, with the custom header ``X-K7Qd2-Cert:{client_cert_leaf}``.

    *verify_header* is ``{client_cert_chain_verified}``. For ``{client_cert_sha256_fingerprint}`` take `sha256`.
    """
    return _source("gcp", header, byte_sequence.read, trusted_proxy, hosts, verify_header, _TRUE_OR_FALSE)


def cloudflare(*, trusted_proxy: Trust, hosts: _Hosts = None, verify_header: str | None = None) -> ForwardedSource:
    """Cloudflare, API Shield or Access: ``Cf-Client-Cert-Der-Base64``.

    *verify_header* is one that a rule of yours sets to ``cf.tls_client_auth.cert_verified``: the certificate is there
    for invalid chains, too. For a rule with ``cf.tls_client_auth.cert_rfc9440`` take `rfc9440`.
    """
    header = "Cf-Client-Cert-Der-Base64"
    return _source("cloudflare", header, base64_der.read, trusted_proxy, hosts, verify_header, _TRUE_OR_FALSE)


def sha256(*, header: str, trusted_proxy: Trust, hosts: _Hosts = None) -> ForwardedSource:
    """Any proxy that sends only the SHA-256 of the certificate, in hex (with colons or without) or in base64.

    HAProxy's ``%[ssl_c_der,sha2(256),ub64enc]``, Caddy's ``{http.request.tls.client.fingerprint}``, and so on. It is
    all that a binding needs; no token can be minted for it. A SHA-1 is refused.
    """
    absent = [b"{http.request.tls.client.fingerprint}"]
    return _source("sha256", header, digest.read, trusted_proxy, hosts, absent=absent)


def _source(
    name: str,
    header: str,
    read: Callable[[bytes], Found],
    trusted_proxy: Trust,
    hosts: _Hosts,
    verify_header: str | None = None,
    verdicts: Mapping[bytes, bool] = _WORDS,
    absent: Collection[bytes] = (),
    *,
    chain_header: bytes | None = None,
    chain_verified: bool | None = None,
) -> ForwardedSource:
    dialect = Dialect(
        name,
        header_name(header, "header"),
        read,
        frozenset([b"", *absent]),
        chain_header,
        None if verify_header is None else header_name(verify_header, "verify_header"),
        verdicts,
        chain_verified,
    )
    return ForwardedSource(dialect, trusted_proxy, hosts)


def _require(hosts: _Hosts, what: str) -> None:
    if not hosts:
        raise ConfigurationError(f"hosts= must name the hosts for which {what} forwards certificates: others may not")
