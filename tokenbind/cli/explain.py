"""Say why a token does not match a certificate, and what to do about it.

Also names what else is wrong with the token, as far as it is told what to expect. For operators: it reads what a
verifier refuses, so it is never a way to accept, and nothing of it belongs into a response.

Exit status 0 if the token matches and nothing else is wrong, 1 if not.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime, timezone
import textwrap
from time import time
from typing import Any

from ..binding import PeerCertificate
from ..errors import ConfigurationError, InvalidToken
from ..tokens import AccessTokenProfile, KeySet, TokenVerifier
from ..tokens.algorithms import canonical_algorithms
from .explanation import (
    HASHES,
    PROFILES,
    Expected,
    Finding,
    KnownCertificate,
    LenientToken,
    binding_causes,
    bounded,
    certificate_findings,
    known_certificates,
    named_value,
    read_token,
    readings,
    token_findings,
)
from .output import (
    certificate_of,
    print_facts,
    print_json,
    printable,
    read_bytes,
    read_jwks,
    read_token_argument,
)


_WIDTH = 118
_MAX_LINES = 30  # of findings; what stands around them needs no more than ten


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("token", help="the token; - for standard input, which keeps it out of the process list")
    parser.add_argument("--cert", required=True, metavar="FILE", help="what the client presents, PEM or DER")
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="FILE",
        help="another certificate to look at, such as the one before a renewal; may be given several times",
    )
    parser.add_argument("--jwks", metavar="FILE", help="the issuer's JWK Set; without it, no signature is checked")
    parser.add_argument("--issuer", metavar="URL", help="the exact iss")
    parser.add_argument("--audience", help="what the resource server is called in aud")
    parser.add_argument("--algorithm", action="append", help="default: those of the profile")
    parser.add_argument(
        "--profile", choices=tuple(PROFILES), type=str.lower, default="rfc9068", help="default: rfc9068"
    )
    parser.add_argument("--at", metavar="TIME", help="ISO 8601 or seconds since 1970, to look back; default: now")


def run(arguments: argparse.Namespace) -> int:
    expected = _expected(arguments)
    text = read_token_argument(arguments.token)
    leaf, *others = (known for path in (arguments.cert, *arguments.also) for known in _known_certificates(path))
    token = read_token(text)
    if token.header is None or token.claims is None:
        do = "See what is wrong with its form."
        causes = [Finding("unreadable", "What the token is bound to cannot be read.", do)]
    else:
        causes = binding_causes(token.header, token.claims, leaf, others)
    findings = [*token.findings, *token_findings(token, expected), *certificate_findings(leaf, expected.now)]
    matches = causes[0].id == "matches"
    verdict = _verdict(text.strip(), leaf.peer, expected)
    report = {
        "matches": matches,
        "expected": _hash_in(token),
        "presented": leaf.peer.thumbprint,
        "subject": leaf.name,
        "causes": [cause._asdict() for cause in causes],
        "findings": [finding._asdict() for finding in findings],
        "not_checked": [name for name in ("jwks", "issuer", "audience") if getattr(expected, name) is None],
        "verify": verdict,
    }
    print_json(report) if arguments.json else _print_text(report, causes, findings)
    return 0 if matches and not findings and (verdict is None or verdict["verified"]) else 1


def _known_certificates(path: str) -> list[KnownCertificate]:
    content = read_bytes(path)  # once: it may be a pipe
    return known_certificates(certificate_of(content, path), path, content)


def _expected(arguments: argparse.Namespace) -> Expected:
    profile: AccessTokenProfile = getattr(AccessTokenProfile, PROFILES[arguments.profile])
    jwks: Any = read_jwks(arguments.jwks) if arguments.jwks else None
    if arguments.jwks:
        KeySet.from_jwks(jwks)
    algorithms = canonical_algorithms(tuple(arguments.algorithm or profile.algorithms))
    now = time() if arguments.at is None else _moment(arguments.at)
    return Expected(jwks, arguments.issuer, arguments.audience, algorithms, profile, now)


def _moment(text: str) -> float:
    try:
        moment = datetime.fromtimestamp(int(text), timezone.utc) if text.isdecimal() else datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        raise ConfigurationError("--at must be a time such as 2025-01-31T12:00:00Z, or seconds since 1970") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def _verdict(text: str, peer: PeerCertificate, expected: Expected) -> dict[str, Any] | None:
    """What the real verifier says, if everything that it needs was given."""
    if expected.jwks is None or expected.issuer is None or expected.audience is None:
        return None
    verifier = TokenVerifier(
        issuer=expected.issuer,
        audience=expected.audience,
        keys=KeySet.from_jwks(expected.jwks),
        algorithms=tuple(expected.algorithms),
        profile=expected.profile,
        cache_size=0,
        clock=lambda: expected.now,
    )
    try:
        verifier.verify(text, peer)
    except InvalidToken as error:
        return {"verified": False, "reason": error.reason, "detail": str(error)}
    return {"verified": True}


def _hash_in(token: LenientToken) -> str | None:
    """What the token names, if it has the length of a hash: a value of another kind may be a secret."""
    value = named_value(token.claims or {})
    lengths = {length for length, _ in HASHES.values()}
    if value is None or not any(len(reading.data) in lengths for reading in readings(value)):
        return None
    return bounded(value, 100)


def _print_text(report: dict[str, Any], causes: Sequence[Finding], findings: Sequence[Finding]) -> None:
    verdict = report["verify"]
    if report["matches"] and findings:  # what is wrong comes first
        causes, findings = findings, [causes[0]._replace(do="")]
    wrong = ", ".join(dict.fromkeys(one.id for one in (*causes, *findings) if one.id != "matches"))[:90]
    if not wrong and verdict is not None and not verdict["verified"]:
        wrong = verdict["reason"]
    facts = {
        **_headline(report, wrong),
        "token": report["expected"] or "-",
        "presented": f"{report['presented']}  {report['subject']}",
        "not checked": ", ".join(_UNCHECKED[name] for name in report["not_checked"]) or "-",
    }
    if verdict is not None:
        refused = "" if verdict["verified"] else f"REFUSED {verdict['reason']}: {verdict['detail']}"
        facts["verify"] = textwrap.shorten(refused, 105, placeholder=" ...") or "VERIFIED"
    print_facts(facts)
    lines = 0
    for number, finding in enumerate((*causes, *findings)):
        block = [
            *_wrapped(finding.what, f"{finding.id}: ", "  "),
            *_wrapped(finding.do, "  -> ", "     "),
        ]
        lines += 1 + len(block)
        if lines > _MAX_LINES:
            print(f"\n... and {len(causes) + len(findings) - number} more: --json has all")
            break
        print("", *block, sep="\n")


def _headline(report: dict[str, Any], wrong: str) -> dict[str, str]:
    if not report["matches"]:
        return {"NO MATCH": wrong}
    if wrong:
        return {"WRONG": f"{wrong} (the certificate matches)"}
    unchecked = "; but not everything was checked" if report["not_checked"] else ""
    return {"MATCHES": f"and nothing else is wrong{unchecked}"}


def _wrapped(text: str, first: str, next_: str) -> list[str]:
    return textwrap.wrap(printable(text), _WIDTH, initial_indent=first, subsequent_indent=next_, break_on_hyphens=False)


_UNCHECKED = {
    "jwks": "the SIGNATURE (give --jwks)",
    "issuer": "the issuer (--issuer)",
    "audience": "the audience (--audience)",
}
