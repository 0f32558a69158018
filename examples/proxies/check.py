"""Whether a proxy can be fooled: asks an API with a client's token, with and without the client's certificate.

It sends what attackers send: the certificate header itself, its twins, Connection with its name, and trailers. Run it
from where clients are, with a client that is allowed to GET the URL::

    python check.py https://api.example/ --proxy nginx --header Cert-K7Qd2 \\
        --ca ca.pem --cert client.pem --key client.key --token-file token

Where certificates are required, nothing without one reaches the service: give the certificate of another client, with
``--thief-cert`` and ``--thief-key``, or this says nothing about the header. A header that the service reads beside the
certificate, such as that of ``verify_header=``, is given with ``--also "X-Verify: SUCCESS"``: attackers write it too.
Whether ``--header`` is the right one, it cannot know: copy it from the proxy's configuration.

The exit status is 1 if a stolen token was of use, and 2 if the client itself was refused: that says nothing.
"""

import argparse
from base64 import b64encode
from contextlib import closing
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


def attacks(header, value, also):
    """Names of attacks, and the requests of each: header fields, and those of a trailer."""
    twin, own = header.replace("-", "_"), [(header, value), *also]
    twins = [(twin, value), *((name.replace("-", "_"), text) for name, text in also)]
    named = ("Connection", ", ".join(["close", header, *(name for name, _ in also)]))
    yield "without its certificate", [([], [])]
    yield "... but with the header", [(own, [])]
    yield "... twice", [(own * 2, [])]
    yield "... and named in Connection", [([*own, named], [])]
    yield "... but with the header's twin", [(twins, [])]
    yield "... and the header in Connection", [([*twins, named], [])]
    yield "... but with a trailer", [([], own)]
    # Three, because the proxy may send the first over a connection to the service that it does not use again.
    yield "... after three with a trailer", [*[([], own)] * 3, ([], [])]


class Connection(HTTPConnection):
    """Is made to an address, whatever the name is that it asks for; again, if it was closed after an answer."""

    def __init__(self, url, address, context):
        super().__init__(url.netloc)
        self.name, self.address, self.context = url.hostname, address, context

    def connect(self):
        plain = socket.create_connection(self.address, timeout=20)
        self.sock = self.context.wrap_socket(plain, server_hostname=self.name)


def ask(url, address, context, token, requests):
    """The status of the last request, or the error with which the connection was refused."""
    try:
        with closing(Connection(url, address, context)) as http:
            for fields, trailer in requests:
                http.putrequest("GET", url.path or "/")
                for name, text in [("Authorization", f"Bearer {token}"), *fields]:
                    http.putheader(name, text)
                if trailer:
                    http.putheader("Transfer-Encoding", "chunked")
                    lines = "".join(f"{name}: {text}\r\n" for name, text in trailer)
                    http.endheaders(f"1\r\na\r\n0\r\n{lines}\r\n".encode())
                else:
                    http.endheaders()
                response = http.getresponse()
                response.read()
            return response.status
    except (OSError, HTTPException) as error:
        return error


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--proxy", choices=FORMS, required=True)
    parser.add_argument("--header", required=True, help="in which the proxy sends the certificate")
    parser.add_argument("--ca", help="of the API's own certificate")
    parser.add_argument("--cert", required=True, help="of the client, in PEM")
    parser.add_argument("--key", required=True)
    parser.add_argument("--token-file", required=True)
    parser.add_argument("--also", action="append", default=[], metavar="'NAME: VALUE'", help="sent with the header")
    parser.add_argument("--thief-cert", help="of another client, in PEM")
    parser.add_argument("--thief-key")
    parser.add_argument("--connect", help="HOST:PORT to connect to, in place of that of the URL")
    options = parser.parse_args()
    url, token = urlsplit(options.url), Path(options.token_file).read_text().strip()
    if url.scheme != "https":
        parser.error("the URL must be an https one; a port for plain http must not lead to the API at all")
    host, _, port = (options.connect or f"{url.hostname}:{url.port or 443}").rpartition(":")
    value = FORMS[options.proxy](Path(options.cert).read_text())
    also = [tuple(part.strip() for part in field.split(":", 1)) for field in options.also]

    def context(certificate=None, key=None):
        made = ssl.create_default_context(cafile=options.ca)
        if certificate:
            made.load_cert_chain(certificate, key)
        return made

    status = ask(url, (host, port), context(options.cert, options.key), token, [([], [])])
    served, fooled = status == 200, False
    print(f"{'ok' if served else 'WRONG':6} {'the client itself':32} {status}")
    for certificate, prefix in [(None, ""), (options.thief_cert, "thief ")]:
        if prefix and not certificate:
            continue
        for name, requests in attacks(options.header, value, also):
            status = ask(url, (host, port), context(certificate, options.thief_key), token, requests)
            good = isinstance(status, Exception) or 400 <= status < 500
            fooled |= not good
            said = "refused by TLS" if isinstance(status, Exception) else status
            print(f"{'ok' if good else 'WRONG':6} {prefix + name:32} {said}")
    if not served:
        print("The client itself must get 200: as long as it does not, what is refused says nothing.")
    return 1 if fooled else 0 if served else 2


if __name__ == "__main__":
    sys.exit(main())
