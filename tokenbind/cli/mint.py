"""Mint an access token that is bound to a certificate.

For trying things out: it takes your word that the client has the certificate's key.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from ..errors import ConfigurationError
from ..tokens import SigningKey, TokenIssuer
from .output import print_json, read_bytes, read_certificate, read_secret


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--key", required=True, metavar="FILE", help="the issuer's private key in PEM")
    parser.add_argument("--password-file", metavar="FILE", help="its password, in the first line of this file")
    parser.add_argument("--algorithm", help="default: PS256 for RSA keys, else the one of the curve")
    parser.add_argument("--issuer", required=True, metavar="URL", help="iss")
    parser.add_argument("--cert", required=True, metavar="FILE", help="the client's certificate, PEM or DER")
    parser.add_argument("--client-id", required=True, help="client_id, and sub unless --subject is given")
    parser.add_argument("--audience", required=True, action="append", help="aud; may be given several times")
    parser.add_argument("--subject", help="sub")
    parser.add_argument("--scope", help="space-separated scopes")
    parser.add_argument("--lifetime", type=int, default=300, metavar="SECONDS", help="default: 300")
    parser.add_argument(
        "--claim", action="append", default=[], metavar="NAME=JSON", help="a further claim; may be given several times"
    )


def run(arguments: argparse.Namespace) -> int:
    key = SigningKey.from_pem(
        read_bytes(arguments.key), read_secret(arguments.password_file), algorithm=arguments.algorithm
    )
    response = TokenIssuer(arguments.issuer, key).token_response(
        read_certificate(arguments.cert),
        client_id=arguments.client_id,
        audience=arguments.audience,
        subject=arguments.subject,
        scope=arguments.scope,
        lifetime=arguments.lifetime,
        claims=dict(map(_claim, arguments.claim)),
    )
    if arguments.json:
        print_json(response)
    else:
        print(response["access_token"])
    return 0


def _claim(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        raise ConfigurationError(
            f"--claim {name}=... needs a JSON value; a string is written --claim {name}='\"text\"'"
        ) from None
