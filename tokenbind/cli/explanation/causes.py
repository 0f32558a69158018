"""Why a token's confirmation does not match a certificate, for `tokenbind explain`. Pure.

Operator-only, and never a way to accept: no other room may import this one, and whether the binding holds is asked of
`verify_binding` alone. What stands here only finds words for its refusal, along four questions: is it x5t#S256 at all,
of which certificate, of what of it by which hash, and how is it spelled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
import re
from typing import Any

from ...binding import BindingPolicy, Confirmation, verify_binding
from ...errors import InvalidToken
from .findings import Finding, sentence, shown
from .known_certificates import HASHES, KnownCertificate, wrong_hash
from .spellings import Reading, readings


__all__ = ["binding_causes", "named_value"]

_NAME = "x5t#S256"

_METHODS = {
    "jkt": "a DPoP key (RFC 9449)",
    "jwk": "a public key (RFC 7800)",
    "jwe": "an encrypted key (RFC 7800)",
    "jku": "the address of a key (RFC 7800)",
    "kid": "the id of a key (RFC 7800)",
}

_DO_BIND = (
    "The authorization server must bind it (RFC 8705 §3): it must see the client's certificate at its token endpoint, "
    "and be told to bind this client's tokens (tls_client_certificate_bound_access_tokens)."
)
_DO_CNF = f'The issuer must set cnf to {{"{_NAME}": "..."}}, a JSON object (RFC 8705 §3.1).'
_DO_NEW_TOKEN = "Get a new token with the certificate that the client presents."


def binding_causes(
    header: Mapping[str, Any], claims: Mapping[str, Any], leaf: KnownCertificate, others: Sequence[KnownCertificate]
) -> list[Finding]:
    """Say why *leaf* is not the certificate that the token names; ``matches`` alone if it is.

    Does NOT verify anything else of the token or of the certificate.

    Args:
        header, claims: Of the token, with any content.
        leaf: What the client presents.
        others: Where else to look: the rest of the chain, and what the operator suspects.
    """
    try:
        verify_binding(Confirmation.from_claims(claims), leaf.peer, BindingPolicy.REQUIRED, now=0)
    except InvalidToken as error:
        causes = [*_shape(header, claims), *_value(claims, leaf, others)]
        return causes or [Finding("refused", sentence(error), "See the page Reasons of the documentation.")]
    what = f"The token is bound to this certificate: {leaf.name}."
    do = "If a server says otherwise, it sees another certificate than this one: its log and its events have both."
    return [Finding("matches", what, do)]


def _shape(header: Mapping[str, Any], claims: Mapping[str, Any]) -> Iterator[Finding]:
    """What is wrong with the ``cnf`` before its value is looked at."""
    cnf = claims.get("cnf")
    if "cnf" in claims and not isinstance(cnf, dict):
        yield Finding("cnf_not_object", f"The token's cnf is {_kind(cnf)}, not a JSON object.", _DO_CNF)
        return
    members: Mapping[str, Any] = cnf or {}
    foreign = [name for name in _METHODS if name in members]
    if foreign:
        beside, id_ = (f" beside {_NAME}", "other_method_beside") if _NAME in members else ("", "other_method")
        names = " and ".join(f"{name}, {_METHODS[name]}" for name in foreign)
        what = f"The token's cnf names {names}{beside}; a certificate alone does not prove that."
        do = "The client gets a token that is bound to its certificate alone: over mutual TLS, without a DPoP proof."
        yield Finding(id_, what, do)
    if _NAME in members:
        if not isinstance(members[_NAME], str):
            yield Finding("value_not_string", f"The {_NAME} of the token is {_kind(members[_NAME])}.", _DO_CNF)
        return
    for name in filter(_is_near, members):
        do = f"The issuer must call it {_NAME}, in these very letters, and put a SHA-256 there (RFC 8705 §3.1)."
        yield Finding("name_misspelled", f"The token's cnf has {shown(name)} instead of {_NAME}.", do)
        return
    place = next((place for place, found in _elsewhere(header, claims) if _NAME in found), None)
    if place is not None:
        what = f"{_NAME} stands in {place}, where it binds nothing; it belongs into the claim cnf."
        yield Finding("misplaced", what, _DO_CNF)
    elif "cnf" not in claims:
        yield Finding("token_unbound", "The token has no cnf: it is bound to no certificate.", _DO_BIND)
    elif not members:
        yield Finding("cnf_empty", "The token's cnf is an empty object.", _DO_BIND)
    elif not foreign:
        names = ", ".join(map(shown, list(members)[:3]))
        yield Finding("cnf_without_thumbprint", f"The token's cnf has no {_NAME}, but {names}.", _DO_BIND)


def _elsewhere(header: Mapping[str, Any], claims: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    act = claims.get("act")
    candidates = {
        "the claims beside cnf": claims,
        "act.cnf, that of an actor,": act.get("cnf") if isinstance(act, dict) else None,
        "the cnf of the header": header.get("cnf"),
        "the header (there, it names the certificate of the issuer's key)": header,
    }
    return ((place, found) for place, found in candidates.items() if isinstance(found, dict))


def named_value(claims: Mapping[str, Any]) -> str | None:
    """What the token's cnf has as a thumbprint, be it under a name that is misspelled."""
    cnf = claims.get("cnf")
    if not isinstance(cnf, dict):
        return None
    name = _NAME if _NAME in cnf else next(filter(_is_near, cnf), _NAME)
    return value if isinstance(value := cnf.get(name), str) else None


def _value(claims: Mapping[str, Any], leaf: KnownCertificate, others: Sequence[KnownCertificate]) -> Iterator[Finding]:
    """What is wrong with the value."""
    value = named_value(claims)
    if value is None:
        return
    found = readings(value)
    for certificate in (leaf, *others):
        digests = certificate.digests()
        for reading in found:
            if reading.data in digests:
                if certificate.der != leaf.der:
                    yield _relation(leaf, certificate)
                yield from (*digests[reading.data], *reading.wrong)
                return
    yield from _of_nothing_known(found, value, claims, leaf)


def _of_nothing_known(
    found: Sequence[Reading], value: str, claims: Mapping[str, Any], leaf: KnownCertificate
) -> Iterator[Finding]:
    by_length = {length: name for name, (length, _) in HASHES.items()}  # SHA-256 first: what is likelier
    hashes = [(list(by_length).index(len(one.data)), one) for one in found if len(one.data) in by_length]
    if not hashes:
        what = f"The value of {len(value)} characters is no hash in any spelling."
        yield Finding("not_a_hash", what, "The issuer must put the SHA-256 of the certificate's DER there, base64url.")
        return
    _, reading = min(hashes, key=lambda one: one[0])
    yield _unknown(claims, leaf)
    yield from (*wrong_hash(by_length[len(reading.data)]), *reading.wrong)


def _unknown(claims: Mapping[str, Any], leaf: KnownCertificate) -> Finding:
    issued_at: Any = claims.get("iat")
    begin = leaf.not_before
    if type(issued_at) in (int, float) and begin is not None and issued_at < begin.timestamp():
        what = (
            f"The token was minted {_day(issued_at)}before this certificate became valid ({begin:%Y-%m-%d %H:%M} UTC): "
            "it is bound to an earlier one, which has probably been renewed since."
        )
        return Finding("renewed_since", what, f"{_DO_NEW_TOKEN} To be sure, give --also with the certificate before.")
    what = "The token is bound to another certificate, which is in none of the files."
    do = (
        "Give --also with others: the one from before a renewal, the proxy's, the CA's. "
        "If it is nobody's that you know, the token may be stolen."
    )
    return Finding("unknown_certificate", what, do)


def _relation(leaf: KnownCertificate, other: KnownCertificate) -> Finding:
    """What a certificate that the token names has to do with the one that the client presents."""
    begins = (leaf.not_before, other.not_before)
    older = None in begins or begins[1] <= begins[0]
    do = f"{_DO_NEW_TOKEN} A binding is to the certificate, not to its key (RFC 8705 §6.3)."
    if not older:
        do = "The client must present its new certificate, with which it got the token: let it load its files anew."
    if leaf.public_key is not None and other.public_key == leaf.public_key:
        what = f"The certificate was renewed with the same key: the token is bound to that in {other.place}."
        return Finding("renewed_same_key", what, do)
    if other.subject is not None and other.subject == leaf.issuer != leaf.subject:
        what = (
            f"The token is bound to the certificate of the CA: {other.name}, from {other.place}, has issued this one."
        )
        return Finding("issuer_certificate", what, "The issuer must hash the leaf, the first certificate of the chain.")
    if not other.is_first:
        what = f"The token is bound to another certificate of the chain: {other.name}, {other.place}."
        return Finding("chain_certificate", what, "The issuer must hash the leaf, the first certificate of the chain.")
    if other.subject is not None and other.subject == leaf.subject:
        what = f"The certificate was renewed with a new key: the token is bound to that in {other.place}."
        return Finding("renewed_new_key", what, do)
    what = f"The token is bound to another certificate: {other.name} from {other.place}."
    do = (
        "If that is the client's, let it present it. If it is a proxy's, the issuer or the server sees the proxy "
        "instead of the client. Otherwise the token is not this client's."
    )
    return Finding("another_certificate", what, do)


def _is_near(name: str) -> bool:
    return re.sub(r"[^a-z0-9]", "", name.lower()).startswith("x5t") and name not in (_NAME, "x5t#uri")


def _kind(value: Any) -> str:
    words: dict[type, str] = {str: "a string", list: "a list", dict: "an object", bool: "a truth value"}
    return "null" if value is None else words.get(type(value), "a number")


def _day(seconds: float) -> str:
    try:
        return f"on {datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M} UTC, "
    except (ValueError, OverflowError, OSError):
        return ""
