"""The ``cnf`` claim, the binding policy, and the one place where a binding is judged."""

from __future__ import annotations

from hmac import compare_digest
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from ..errors import InvalidToken, Reason
from .moments import seconds_of
from .peer_certificate import PeerCertificate
from .thumbprint import X5T_S256, is_thumbprint


if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["BindingPolicy", "Confirmation", "VerifiedBinding", "verify_binding"]

# Confirmation methods that are registered ("JWT Confirmation Methods"), and that we do not check. RFC 7800 §3.1 lets
# unknown members be ignored "in the absence of such requirements"; ours is that a token bound to a second key, such as
# a DPoP one (RFC 9449 §7.2), is never accepted on the strength of the first alone.
_UNCHECKED_METHODS = frozenset({"jkt", "jwk", "jwe", "jku", "kid"})

_REMEMBERED = 512


class Confirmation:
    """What a token says about its holder: the thumbprint of the one certificate it is bound to (RFC 8705 §3.1).

    Attributes:
        thumbprint: The thumbprint that the token names; NOT proven until `verify_binding` has returned.
    """

    __slots__ = ("_verified", "thumbprint")

    thumbprint: str
    _verified: VerifiedBinding

    def __init__(self, thumbprint: str) -> None:
        """Not public: use `of` or `from_claims`."""
        # A property would be a function call, at every request.
        object.__setattr__(self, "thumbprint", thumbprint)
        object.__setattr__(self, "_verified", VerifiedBinding(thumbprint, None))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Confirmation does not change")

    def __reduce__(self) -> tuple[Any, ...]:
        return Confirmation, (self.thumbprint,)

    @classmethod
    def of(cls, peer: PeerCertificate) -> Confirmation:
        """The confirmation that binds a token to *peer*."""
        return cls(peer.thumbprint)

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> Confirmation | None:
        """Read the ``cnf`` member of token claims or of an introspection response (RFC 8705 §3.1, §3.2).

        Returns:
            None only if there is no ``cnf`` at all: malformed is never "absent".

        Raises:
            InvalidToken: ``confirmation_malformed``, or ``confirmation_unsupported`` for a ``cnf`` that names another
                key (``jkt``, ``jwk``, ``jwe``, ``jku``, ``kid``), even beside a right thumbprint. Nothing is fetched.
        """
        try:
            cnf = claims["cnf"]
            confirmation = _KNOWN[cnf[X5T_S256]]
            if len(cnf) == 1 or _UNCHECKED_METHODS.isdisjoint(cnf):
                return confirmation
        except (KeyError, TypeError):  # there is no such member, or it is not of the type that it must be
            pass
        _require_none(claims)
        return None

    def to_cnf(self) -> dict[str, str]:
        """The value of a ``cnf`` claim."""
        return {X5T_S256: self.thumbprint}

    def __eq__(self, other: object) -> bool:
        return self.thumbprint == other.thumbprint if isinstance(other, Confirmation) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.thumbprint)

    def __repr__(self) -> str:
        return f"<Confirmation {X5T_S256}={self.thumbprint}>"


def _require_none(claims: Mapping[str, object]) -> None:
    """Pass if there is no ``cnf``; otherwise say what is wrong with it."""
    if "cnf" not in claims:
        return
    cnf = claims["cnf"]
    if type(cnf) is not dict:
        raise InvalidToken(Reason.CONFIRMATION_MALFORMED, "cnf is not a JSON object")
    if not _UNCHECKED_METHODS.isdisjoint(cnf):
        raise InvalidToken(
            Reason.CONFIRMATION_UNSUPPORTED, "cnf names a key that a certificate cannot prove (such as DPoP's jkt)"
        )
    if X5T_S256 in cnf or not cnf:
        raise InvalidToken(
            Reason.CONFIRMATION_MALFORMED,
            "cnf must hold x5t#S256 as 43 base64url characters without padding (RFC 8705 §3.1)",
        )
    raise InvalidToken(Reason.CONFIRMATION_UNSUPPORTED, "cnf has no x5t#S256 (RFC 8705 §3.1)")


class _Confirmations(dict[str, Confirmation]):
    """Confirmations by their thumbprint: the few clients of a service come again and again. KeyError if it is none."""

    def __missing__(self, thumbprint: str) -> Confirmation:
        if type(thumbprint) is not str or not is_thumbprint(thumbprint):
            raise KeyError
        if len(self) >= _REMEMBERED:
            self.clear()
        confirmation = self[thumbprint] = Confirmation(thumbprint)
        return confirmation


_KNOWN = _Confirmations()


class VerifiedBinding(NamedTuple):
    """The verdict of `verify_binding`.

    Attributes:
        thumbprint: The thumbprint that the token names and the peer proved; None if nothing was proven.
        refusal: In report-only mode, why the token would have been refused; otherwise None.
    """

    thumbprint: str | None
    refusal: Reason | None


class BindingPolicy:
    """What to do with a token whose binding does not hold.

    ``BindingPolicy.REQUIRED``: refuse it, and every token that is not bound. The default.

    ``BindingPolicy.WHEN_PRESENT``: let unbound tokens pass as plain bearer tokens (`BoundToken.thumbprint` is None),
    but enforce every ``cnf`` that is there. Anyone who steals an unbound token can use it.

    `unsafe_report_only`: for a roll-out, with an end.
    """

    __slots__ = ("name", "report_only_until")

    REQUIRED: BindingPolicy
    WHEN_PRESENT: BindingPolicy

    def __init__(self, name: str, report_only_until: float | None = None) -> None:
        """Not public: use the two constants or `unsafe_report_only`."""
        self.name: str = name
        self.report_only_until: float | None = report_only_until

    @classmethod
    def unsafe_report_only(cls, *, until: datetime) -> BindingPolicy:
        """Until *until*, an aware datetime, report what `REQUIRED` would refuse instead of refusing it.

        Passes only ``token_unbound``, ``certificate_missing`` and ``certificate_mismatch``; the reason stands in
        `BoundToken.binding_refusal` and in the event, and no thumbprint is exposed. A malformed or foreign ``cnf``,
        the signature, audience, expiry and revocation are enforced. From *until* on it is `REQUIRED`.

        Raises:
            ConfigurationError: if *until* is no datetime, or has no timezone.
        """
        return cls("report_only", seconds_of(until, "until="))

    def __repr__(self) -> str:
        return f"<BindingPolicy {self.name}>"


BindingPolicy.REQUIRED = BindingPolicy("required")
BindingPolicy.WHEN_PRESENT = BindingPolicy("when_present")


def verify_binding(
    confirmation: Confirmation | None,
    peer: PeerCertificate | None,
    policy: BindingPolicy,
    now: float,
) -> VerifiedBinding:
    """Judge whether the certificate that the peer proved is the one that the token names.

    RFC 8705 §3: "The protected resource MUST obtain, from its TLS implementation layer, the client certificate used
    for mutual TLS and MUST verify that the certificate matches the certificate associated with the access token. If
    they do not match, the resource access attempt MUST be rejected with an error per [RFC6750] using an HTTP 401
    status code and the "invalid_token" error code."

    Does NOT verify the token's signature or claims, nor the certificate's chain or dates (RFC 8705 §6.2).

    Args:
        confirmation: From the token; None if it has no ``cnf``.
        peer: From a peer source; None if the handshake had no client certificate.
        policy: What to do if the binding does not hold.
        now: Seconds since the epoch, for the end of a report-only policy.

    Raises:
        InvalidToken: ``certificate_mismatch``, ``certificate_missing`` or ``token_unbound``.
    """
    if confirmation is None:
        if policy is BindingPolicy.WHEN_PRESENT:
            return _UNBOUND
    elif peer is not None and compare_digest(confirmation.thumbprint, peer._thumbprint):
        return confirmation._verified
    if policy.report_only_until is not None and now < policy.report_only_until:
        return VerifiedBinding(None, _refusal(confirmation, peer).reason)
    raise _refusal(confirmation, peer)  # not from a name: the frame and the error would hold each other


def _refusal(confirmation: Confirmation | None, peer: PeerCertificate | None) -> InvalidToken:
    if confirmation is None:
        return InvalidToken(Reason.TOKEN_UNBOUND, "the token is not bound to a certificate: it has no cnf")
    if peer is None:
        return InvalidToken(Reason.CERTIFICATE_MISSING, "the token is bound, and the peer sent no certificate")
    return InvalidToken(
        Reason.CERTIFICATE_MISMATCH,
        "the token is bound to another certificate than the peer's",
        expected=confirmation.thumbprint,
        presented=peer.thumbprint,
    )


_UNBOUND = VerifiedBinding(None, None)
