"""TLS ends in a proxy in front, which forwards the client's certificate in a header: one preset a product.

::

    source = forwarded.nginx(header="X-K7Qd2-Cert", trusted_proxy=Trust.unix_socket("/run/api.sock"))
    app = BoundTokenMiddleware(app, verifier, peer_source=source)

Each preset has exactly one form of the header, that of the product; nothing is guessed. Who has sent the request is
decided first (`Trust`), then, with ``hosts=``, for which host. Then the header is read whole, or refused: it may occur
once; no other may have a name that WSGI or a framework makes the same of; it has at most 64 KiB. A missing header,
an empty one, and what the product is known to write when there was no certificate, mean "no certificate". Anything else
that cannot be read is ``certificate_malformed`` (400), not absence.

None of it verifies a chain or dates: `PeerCertificate.chain_verified` is what the product says, by ``verify_header=``.
That the client has proven the certificate's key is what TLS in the proxy does, and what `Trust` stands for.

What every preset takes:

* ``trusted_proxy``: see `Trust`. There is no default.
* ``header``: where the product lets you choose it. Take one that nobody can guess, such as ``X-K7Qd2-Cert``: a client
  that does not know the name cannot send its look-alikes, nor have the proxy remove it by ``Connection``.
* ``hosts``: the values of ``Host``, with or without port, for which this proxy forwards certificates. A request for
  any other is refused, because a virtual host that forgets the header lets a client's own one pass. The proxy must
  check or set ``Host``.
* ``verify_header``: the header in which the product says whether it has verified the chain; it must be there, then,
  wherever the certificate is.
"""

from .aws import EventSource
from .presets import (
    apache,
    aws_alb,
    aws_api_gateway,
    azure_app_service,
    azure_application_gateway,
    caddy,
    cloudflare,
    envoy,
    gcp,
    haproxy,
    ingress_nginx,
    nginx,
    rfc9440,
    sha256,
    traefik,
)
from .source import ForwardedSource


__all__ = [
    "EventSource",
    "ForwardedSource",
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
