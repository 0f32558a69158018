"""`PeerCertificate`: what the TLS layer says the other end proved, as a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import InvalidRequest, Reason
from .pem import malformed, read_certificates, require_der
from .thumbprint import parse_thumbprint, thumbprint_of_der


if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.x509 import Certificate

__all__ = ["CertificatesByDER", "PeerCertificate"]

_REMEMBERED = 256


class PeerCertificate:
    """The certificate of the other end of a connection, immutable.

    Building one from bytes says nothing about who holds its key: that the peer proved it in the handshake is what a
    *peer source* (`tokenbind.peer`) vouches for. Binding looks at the thumbprint alone; chain and dates are not its
    business (RFC 8705 §6.2), so `chain_verified` is a note for those whose business they are.
    """

    __slots__ = ("_chain", "_chain_verified", "_not_after", "_source", "_thumbprint", "_x509")

    def __init__(
        self, thumbprint: str, chain: tuple[bytes, ...], source: str, chain_verified: bool | None = None
    ) -> None:
        """Not public: use `from_der`, `from_pem`, `from_thumbprint`, or a peer source. Nothing is checked here."""
        self._thumbprint = thumbprint
        self._chain = chain
        self._source = source
        self._chain_verified = chain_verified
        self._x509: Certificate | None = None

    @staticmethod
    def from_der(der: bytes) -> PeerCertificate:
        """From the DER of one certificate.

        Does NOT verify signature, dates or chain.

        Raises:
            InvalidRequest: ``certificate_malformed``.
        """
        if type(der) is not bytes:
            require_der(der)
        return _of_der[der]

    @classmethod
    def from_pem(cls, pem: str) -> PeerCertificate:
        """From PEM text of one certificate, or of a chain with the leaf first (RFC 7468 §5).

        Does NOT verify signature, dates or chain.

        Raises:
            InvalidRequest: ``certificate_malformed``.
        """
        chain = read_certificates(pem)
        return cls(thumbprint_of_der(chain[0]), chain, "pem")

    @classmethod
    def from_thumbprint(cls, text: str) -> PeerCertificate:
        """From an ``x5t#S256`` value alone; `der` is None then, and no token can be minted for it without more.

        Raises:
            InvalidRequest: ``certificate_malformed``, for any other spelling than the canonical one.
        """
        return cls(parse_thumbprint(text), (), "thumbprint")

    @property
    def thumbprint(self) -> str:
        """The ``x5t#S256`` of the leaf: 43 base64url characters."""
        return self._thumbprint

    @property
    def der(self) -> bytes | None:
        """The DER of the leaf, or None when only the thumbprint is known."""
        return self._chain[0] if self._chain else None

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The DER of every certificate that the peer sent, leaf first; often the leaf alone, empty if unknown."""
        return self._chain

    @property
    def source(self) -> str:
        """Where it came from, in one word, such as ``tls``."""
        return self._source

    @property
    def chain_verified(self) -> bool | None:
        """Whether the source's TLS layer verified the chain; None if unknown. Set by peer sources only."""
        return self._chain_verified

    @property
    def x509(self) -> Certificate:
        """The leaf as a `cryptography.x509.Certificate`, parsed when first asked for.

        Raises:
            InvalidRequest: ``certificate_malformed`` if it does not parse, ``certificate_incomplete`` without DER.
        """
        if self._x509 is None:
            if not self._chain:
                raise InvalidRequest(Reason.CERTIFICATE_INCOMPLETE, "only the thumbprint of the certificate is known")
            from cryptography import x509

            try:
                self._x509 = x509.load_der_x509_certificate(self._chain[0])
            except Exception:  # noqa: BLE001 - documented as ValueError, but hostile DER has raised others
                raise malformed("its DER does not parse as X.509") from None
        return self._x509

    @property
    def not_after(self) -> datetime:
        """The end of its validity, an aware datetime in UTC. Does NOT verify that it lies ahead.

        Raises:
            InvalidRequest: as for `x509`.
        """
        try:
            return self._not_after
        except AttributeError:
            try:
                self._not_after: datetime = self.x509.not_valid_after_utc
            except ValueError:
                raise malformed("its notAfter is no date") from None
            return self._not_after

    def __reduce__(self) -> tuple[Any, ...]:
        return PeerCertificate, (self._thumbprint, self._chain, self._source, self._chain_verified)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PeerCertificate):
            return NotImplemented
        return (
            self._thumbprint == other._thumbprint
            and self._chain == other._chain
            and self._source == other._source
            and self._chain_verified is other._chain_verified
        )

    def __hash__(self) -> int:
        return hash(self._thumbprint)

    def __repr__(self) -> str:
        return f"<PeerCertificate {self._thumbprint} from {self._source}, chain_verified={self._chain_verified}>"


class CertificatesByDER(dict[bytes, PeerCertificate]):
    """For peer sources: certificates by their DER, made when they are first asked for; only the latest are remembered.

    By the whole certificate, and not by the connection: the thumbprint of the same bytes is the same, whoever they come
    from. Indexing raises InvalidRequest with ``certificate_malformed``; *der* must be bytes.
    """

    __slots__ = ("_chain_verified", "_source")

    def __init__(self, source: str, chain_verified: bool | None = None) -> None:
        super().__init__()
        self._source = source
        self._chain_verified = chain_verified

    def __missing__(self, der: bytes) -> PeerCertificate:
        require_der(der)
        if len(self) >= _REMEMBERED:
            self.clear()
        certificate = PeerCertificate(thumbprint_of_der(der), (der,), self._source, self._chain_verified)
        self[der] = certificate
        return certificate


_of_der = CertificatesByDER("der")
