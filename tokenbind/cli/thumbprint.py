"""Print the x5t#S256 thumbprint of certificates (RFC 8705 §3.1).

The files are PEM (of a chain, the first certificate counts) or DER.
"""

from __future__ import annotations

import argparse

from ..binding import PeerCertificate
from .output import print_json, read_certificate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("certificates", nargs="+", metavar="FILE", help="a certificate; - for standard input")


def run(arguments: argparse.Namespace) -> int:
    found = [(path, read_certificate(path)) for path in arguments.certificates]
    if arguments.json:
        facts = [
            {
                "file": path,
                "x5t#S256": certificate.thumbprint,
                "subject": _subject(certificate),
                "not_after": certificate.not_after.isoformat(),
            }
            for path, certificate in found
        ]
        print_json({"certificates": facts})
    else:
        for path, certificate in found:
            print(certificate.thumbprint if len(found) == 1 else f"{certificate.thumbprint}  {path}")
    return 0


def _subject(certificate: PeerCertificate) -> str | None:
    try:
        return certificate.x509.subject.rfc4514_string()
    except Exception:  # noqa: BLE001 - a name that breaks the rules makes cryptography raise one thing or another
        return None
