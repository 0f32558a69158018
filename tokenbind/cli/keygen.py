"""Make a signing key for an issuer, and the JWK Set to publish.

The private key is written as PKCS#8 PEM that only its owner can read.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..errors import ConfigurationError
from ..tokens import SigningKey
from ..tokens.algorithms import ALGORITHMS
from .output import print_facts, print_json, read_secret, write_private


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", required=True, metavar="FILE", help="where the private key goes (0600)")
    parser.add_argument("--jwks", metavar="FILE", help="where the public JWK Set goes; default: standard output")
    parser.add_argument("--algorithm", default="ES256", choices=tuple(ALGORITHMS), help="default: ES256")
    parser.add_argument("--password-file", metavar="FILE", help="encrypt the key with the first line of this file")
    parser.add_argument("--force", action="store_true", help="replace files that exist")


def run(arguments: argparse.Namespace) -> int:
    key = SigningKey.generate(arguments.algorithm)
    jwks = {"keys": [key.public_jwk]}
    if arguments.jwks and Path(arguments.jwks).exists() and not arguments.force:
        raise ConfigurationError(f"{arguments.jwks} exists; give --force to replace it")
    write_private(arguments.out, key.to_pem(read_secret(arguments.password_file)), replace=arguments.force)
    if arguments.jwks:
        try:
            Path(arguments.jwks).write_text(json.dumps(jwks, indent=2) + "\n")
        except OSError as error:
            raise ConfigurationError(f"cannot write {arguments.jwks}: {error.strerror}") from None
    if arguments.json:
        print_json({"key": arguments.out, "kid": key.kid, "algorithm": key.algorithm, "jwks": jwks})
    elif arguments.jwks:
        print_facts({"private key": arguments.out, "JWK Set": arguments.jwks, "kid": key.kid, "alg": key.algorithm})
    else:
        print_json(jwks)
    return 0
