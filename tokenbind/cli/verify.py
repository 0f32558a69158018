"""Verify an access token as a resource server would that sees a client with this certificate.

Exit status 1, and the reason, if it would be refused.
"""

from __future__ import annotations

import argparse
from typing import Any

from ..binding import BindingPolicy
from ..errors import InvalidToken
from ..tokens import AccessTokenProfile, KeySet, TokenVerifier, VerifierOptions
from .explanation import PROFILES
from .output import print_facts, print_json, read_certificate, read_jwks, read_token_argument


_BINDING = {"required": BindingPolicy.REQUIRED, "when-present": BindingPolicy.WHEN_PRESENT}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("token", help="the token; - for standard input, which keeps it out of the process list")
    parser.add_argument(
        "--jwks", metavar="FILE", help="the issuer's JWK Set; default: fetched, by the issuer's metadata"
    )
    parser.add_argument("--ca", metavar="FILE", help="who vouches for the issuer's server; default: the system's CAs")
    parser.add_argument("--issuer", required=True, metavar="URL", help="the exact iss")
    parser.add_argument("--audience", required=True, help="what this resource server is called in aud")
    parser.add_argument("--cert", metavar="FILE", help="the peer's certificate; default: the peer has none")
    parser.add_argument("--algorithm", action="append", help="default: those of the profile")
    parser.add_argument(
        "--profile", choices=tuple(PROFILES), type=str.lower, default="rfc9068", help="default: rfc9068"
    )
    parser.add_argument("--binding", choices=tuple(_BINDING), default="required", help="default: required")


def run(arguments: argparse.Namespace) -> int:
    token = read_token_argument(arguments.token).strip()
    peer = read_certificate(arguments.cert) if arguments.cert else None
    try:
        with _verifier(arguments) as verifier:
            bound = verifier.verify(token, peer)
    except InvalidToken as error:
        facts: dict[str, Any] = {"verified": False, "reason": error.reason, "detail": str(error)}
        if error.expected:
            facts |= {"expected": error.expected, "presented": error.presented}
        print_json(facts) if arguments.json else print_facts({"REFUSED": error.reason, **_without(facts)})
        return 1
    if arguments.json:
        print_json({"verified": True, "thumbprint": bound.thumbprint, "claims": bound.claims})
    else:
        print_facts(
            {
                "VERIFIED": f"bound to {bound.thumbprint}" if bound.thumbprint else "but NOT bound to any certificate",
                "issuer": bound.issuer,
                "client": bound.client_id,
                "subject": bound.subject,
                "audience": " ".join(bound.audience),
                "scopes": " ".join(sorted(bound.scopes)) or "-",
                "expires": bound.expires_at.isoformat(),
            }
        )
    return 0


def _verifier(arguments: argparse.Namespace) -> TokenVerifier:
    issuer, audience = arguments.issuer, arguments.audience
    options: VerifierOptions = {
        "algorithms": tuple(arguments.algorithm) if arguments.algorithm else None,
        "profile": getattr(AccessTokenProfile, PROFILES[arguments.profile]),
        "binding": _BINDING[arguments.binding],
    }
    if arguments.jwks:
        return TokenVerifier(
            issuer=issuer, audience=audience, keys=KeySet.from_jwks(read_jwks(arguments.jwks)), **options
        )
    return TokenVerifier.from_issuer(issuer, audience=audience, ca=arguments.ca, **options)


def _without(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if name not in ("verified", "reason")}
