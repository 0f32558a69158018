"""Whether a proxy can be fooled: asks an API with a client's token, with and without the client's certificate.

It sends what attackers send: the certificate header itself, its twins, and Connection with its name. Run it from where
clients are, with a client that is allowed to GET the URL::

    python check.py https://api.example/ --proxy nginx --header Cert-K7Qd2 \\
        --ca ca.pem --cert client.pem --key client.key --token-file token

The exit status is 1 if a stolen token was of use, or the client itself is refused.
"""

import argparse
from base64 import b64encode
from hashlib import sha256
from http.client import HTTPConnection, HTTPException
from pathlib import Path
import socket
import ssl
import sys
from urllib.parse import quote, urlsplit


def der_of(pem):
    """Of the first certificate."""
    return ssl.PEM_cert_to_DER_cert(pem.partition("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n")


def base64_of(pem):
    """Its DER, on one line."""
    return b64encode(der_of(pem)).decode()


def escaped(pem):
    """As a URL has it."""
    return quote(ssl.DER_cert_to_PEM_cert(der_of(pem)), safe="")


#: How each proxy writes a certificate, as its page configures it.
FORMS = {
    "nginx": escaped,
    "haproxy": lambda pem: f":{base64_of(pem)}:",
    "apache": lambda pem: " ".join(ssl.DER_cert_to_PEM_cert(der_of(pem)).split("\n")).strip(),
    "caddy": lambda pem: f":{base64_of(pem)}:",
    "envoy": lambda pem: f'Hash={sha256(der_of(pem)).hexdigest()};Cert="{escaped(pem)}"',
    "traefik": base64_of,
}


def attacks(header, value):
    """Names of attacks, and the header fields of each."""
    twin = header.replace("-", "_")
    yield "without its certificate", []
    yield "... but with the header", [(header, value)]
    yield "... twice", [(header, value), (header, value)]
    yield "... and named in Connection", [(header, value), ("Connection", f"close, {header}")]
    yield "... but with the header's twin", [(twin, value)]
    yield "... and the header in Connection", [(twin, value), ("Connection", f"close, {header}")]


def ask(url, connect, context, token, fields):
    """The status, or None if the connection was refused."""
    try:
        with (
            socket.create_connection(connect, timeout=20) as plain,
            context.wrap_socket(plain, server_hostname=url.hostname) as connection,
        ):
            http = HTTPConnection(url.netloc)
            http.sock = connection
            http.putrequest("GET", url.path or "/")
            for name, value in [("Authorization", f"Bearer {token}"), *fields]:
                http.putheader(name, value)
            http.endheaders()
            return http.getresponse().status
    except (ssl.SSLError, ConnectionError, HTTPException):
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--proxy", choices=FORMS, required=True)
    parser.add_argument("--header", required=True, help="in which the proxy sends the certificate")
    parser.add_argument("--ca", help="of the API's own certificate")
    parser.add_argument("--cert", required=True, help="of the client, in PEM")
    parser.add_argument("--key", required=True)
    parser.add_argument("--token-file", required=True)
    parser.add_argument("--connect", help="HOST:PORT to connect to, in place of that of the URL")
    options = parser.parse_args()
    url, token = urlsplit(options.url), Path(options.token_file).read_text().strip()
    host, _, port = (options.connect or f"{url.hostname}:{url.port or 443}").rpartition(":")
    value = FORMS[options.proxy](Path(options.cert).read_text())
    own, without = (ssl.create_default_context(cafile=options.ca) for _ in range(2))
    own.load_cert_chain(options.cert, options.key)

    tried = [("the client itself", ask(url, (host, port), own, token, []), 200)]
    for name, fields in attacks(options.header, value):
        tried.append((name, ask(url, (host, port), without, token, fields), None))
    fooled = False
    for name, status, wanted in tried:
        good = status == wanted if wanted else status is None or 400 <= status < 500
        fooled |= not good
        print(f"{'ok' if good else 'WRONG':6} {name:32} {status or 'refused by TLS'}")
    return 1 if fooled else 0


if __name__ == "__main__":
    sys.exit(main())
