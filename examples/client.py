"""A client: gets a token for its certificate, calls an API with both, and prints the answer.

::

    python client.py --cert billing.pem --key billing.key --ca ca.pem --client-id billing \\
        --issuer https://as.example https://127.0.0.1:8443/invoices

Exit status 0 with the API's answer, 1 with a sentence that says why there is none.
"""

import argparse
import logging
import sys
from urllib.parse import urlsplit

from requests import RequestException

from tokenbind import TokenBindError
from tokenbind.client import ClientCredentials, FileIdentity
from tokenbind.client.requests import BoundTokenSession


def main(argv: list[str] | None = None) -> int:
    """Run the command line *argv* (default: the process's own) and return the exit status."""
    parser = argparse.ArgumentParser(description="Call an API with a certificate-bound access token.")
    parser.add_argument("url", help="what to get; the token goes to its origin and nowhere else")
    parser.add_argument("--cert", required=True, help="our certificate, PEM")
    parser.add_argument("--key", required=True, help="its private key, PEM")
    parser.add_argument("--ca", help="the CA of both servers, PEM; default: those of the system")
    parser.add_argument("--issuer", required=True, help="the authorization server; its metadata says the rest")
    parser.add_argument("--client-id", required=True, help="our name there")
    parser.add_argument("--scope", help="the scopes to ask for, separated by spaces")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.ERROR)  # the log has failures as warnings, and we say them ourselves
    api = urlsplit(options.url)
    try:
        identity = FileIdentity(options.cert, options.key)
        grant = ClientCredentials(
            options.issuer,
            client_id=options.client_id,
            scope=options.scope,
            ca=options.ca,
        )
        with BoundTokenSession(identity, grant, origin=f"{api.scheme}://{api.netloc}", ca=options.ca) as session:
            answer = session.get(options.url, timeout=10)
    except (TokenBindError, RequestException) as error:
        print(f"client: {error}", file=sys.stderr)
        return 1
    if not answer.ok:
        print(f"client: the API answered {answer.status_code}: {answer.text}", file=sys.stderr)
        return 1
    print(answer.text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
