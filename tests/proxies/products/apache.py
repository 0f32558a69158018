"""Apache, and what its page says can be changed."""

from __future__ import annotations

from products.common import SECRET, Change, Proxy, Setup, reaches, usual_setups


__all__ = ["SETUPS"]

_FILE = "site.conf"
_SET = """\
    RequestHeader set Cert-K7Qd2 "%{SSL_CLIENT_CERT}s" "expr=-n %{SSL_CLIENT_CERT}"
"""
_PASS = "    ProxyPass / unix:/run/api/api.sock|http://localhost/\n"
_MAIN = """\
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
_apache = Proxy(
    name="Apache",
    folder="apache",
    distribution=None,
    command=("apache2", "-f", "$PWD/apache2.conf", "-DFOREGROUND"),
    header="Cert-K7Qd2",
    local=(("Listen 443", "Listen 127.0.0.1:$PORT"), ("*:443", "127.0.0.1:$PORT")),
    required=(Change(_FILE, "SSLVerifyClient optional", "SSLVerifyClient require"),),
    any_certificate=(Change(_FILE, "SSLVerifyClient optional", "SSLVerifyClient optional_no_ca"),),
    reaches=reaches(
        secret=(
            Change(
                _FILE,
                _PASS,
                f"    RequestHeader set Proxy-Secret {SECRET}\n    ProxyPass / http://10.0.0.5:8000/\n",
            ),
        ),
        mutual_TLS=(
            Change(
                _FILE,
                _PASS,
                """\
    SSLProxyEngine on
    SSLProxyMachineCertificateFile /etc/ssl/api/proxy-and-key.pem
    SSLProxyCACertificateFile /etc/ssl/api/ca.pem
    SSLProxyVerify require
    SSLProxyCheckPeerName on
    ProxyPass / https://10.0.0.5:8000/
""",
            ),
        ),
    ),
    open=(
        Change(_FILE, _SET, ""),
        Change(_FILE, "    RequestHeader unset Cert-K7Qd2\n", ""),
    ),
    forgetful=(
        Change(
            _FILE,
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
    files={"apache2.conf": _MAIN},
)

#: The recipe that is copied everywhere: a client that knows it sends the twin, and has Apache remove the header.
_COPIED = (
    Change(_FILE, "    RequestHeader unset Cert_K7Qd2\n", ""),
    Change(_FILE, '    RequestHeader edit* Connection "(?i)cert[-_]k7qd2" "x"\n', ""),
)

SETUPS = (
    *usual_setups(_apache),
    Setup(_apache, "secret", variant="before a server that keeps twins", kind="twins", server="wsgiref"),
    Setup(_apache, "secret", more=_COPIED, variant="the copied recipe", kind="copied", server="wsgiref"),
)
