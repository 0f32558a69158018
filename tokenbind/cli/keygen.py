"""Make a signing key for an issuer, and the JWK Set to publish.

The private key is written as PKCS#8 PEM that only its owner can read.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import sys
from typing import Any

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
    pem = key.to_pem(read_secret(arguments.password_file))
    if arguments.jwks:
        _write_jwks(arguments.jwks, jwks, arguments.out, replace=arguments.force)
    write_private(arguments.out, pem, replace=arguments.force)
    if ALGORITHMS[key.algorithm].kty == "RSA" and key.algorithm != "PS256":
        hint = f"give --algorithm {key.algorithm} to mint and verify too; an RSA key by itself means PS256"
        print(f"tokenbind: {hint}", file=sys.stderr)
    if arguments.json:
        print_json({"key": arguments.out, "kid": key.kid, "algorithm": key.algorithm, "jwks": jwks})
    elif arguments.jwks:
        print_facts({"private key": arguments.out, "JWK Set": arguments.jwks, "kid": key.kid, "alg": key.algorithm})
    else:
        print_json(jwks)
    return 0


def _write_jwks(path: str, jwks: dict[str, Any], key_path: str, *, replace: bool) -> None:
    if os.path.realpath(path) == os.path.realpath(key_path):
        raise ConfigurationError("--out and --jwks name the same file; give two")
    if not replace and os.path.lexists(key_path):
        raise ConfigurationError(f"{key_path} exists; give --force to replace it")
    try:
        with Path(path).open("w" if replace else "x") as file:
            file.write(json.dumps(jwks, indent=2) + "\n")
    except FileExistsError:
        raise ConfigurationError(f"{path} exists; give --force to replace it") from None
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from None
