"""`BindingKit`: everything that a test of certificate-bound tokens needs, made with trustme in a few milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..binding import PeerCertificate
from ..errors import ConfigurationError
from ..tokens import KeySet, SigningKey, TokenIssuer, TokenVerifier
from ..tokens.compact import base64url
from ..transport import MemoryIdentity
from .clock import MovableClock
from .monitor import RecordingMonitor


if TYPE_CHECKING:
    import trustme

__all__ = ["BindingKit", "ClientCertificate"]


class ClientCertificate:
    """A client's certificate with its private key. Made by `BindingKit`.

    Attributes:
        name: The common name.
        pem: The certificate chain in PEM, leaf first.
        key_pem: The private key in PEM, in the clear.
        peer: What a peer source says of a client that has proven it.
    """

    def __init__(self, name: str, pem: str, key_pem: bytes) -> None:
        self.name = name
        self.pem = pem
        self.key_pem = key_pem
        self.peer: PeerCertificate = PeerCertificate.from_pem(pem)

    @property
    def thumbprint(self) -> str:
        """Its ``x5t#S256``."""
        return self.peer.thumbprint

    @property
    def identity(self) -> MemoryIdentity:
        """It as an identity for `tokenbind.client`."""
        return MemoryIdentity(self.pem, self.key_pem)

    def write(self, folder: str | Path) -> tuple[Path, Path]:
        """Write ``NAME.pem`` and ``NAME.key`` (0600) into *folder*; returns both paths."""
        certificate, key = Path(folder, f"{self.name}.pem"), Path(folder, f"{self.name}.key")
        certificate.write_text(self.pem)
        key.unlink(missing_ok=True)
        key.touch(mode=0o600)
        key.write_bytes(self.key_pem)
        return certificate, key

    def __repr__(self) -> str:
        return f"<ClientCertificate {self.name} {self.thumbprint}>"


class BindingKit:
    """A CA, clients and thieves, an issuer, and a verifier that trusts it, all on one movable clock.

    Args:
        issuer: The issuer's name; nothing listens there.
        audience: The resource server's name.
        algorithm: Of the issuer's key.
    """

    def __init__(
        self, *, issuer: str = "https://as.example", audience: str = "https://api.example", algorithm: str = "ES256"
    ) -> None:
        try:
            import trustme
        except ImportError:
            raise ConfigurationError("certificates for tests need trustme: install tokenbind[testing]") from None
        self.ca: trustme.CA = trustme.CA()
        self.clock: MovableClock = MovableClock()
        self.monitor: RecordingMonitor = RecordingMonitor()
        self.audience = audience
        self.key: SigningKey = SigningKey.generate(algorithm)
        self.issuer: TokenIssuer = TokenIssuer(issuer, self.key, clock=self.clock)
        self.verifier: TokenVerifier = TokenVerifier(
            issuer=issuer,
            audience=audience,
            keys=KeySet.from_jwks(self.issuer.jwks()),
            algorithms=(algorithm,),
            clock=self.clock,
            monitor=self.monitor,
        )
        self._clients: dict[str, ClientCertificate] = {}

    @property
    def ca_pem(self) -> bytes:
        """The CA's certificate in PEM, for any ``ca=``."""
        return self.ca.cert_pem.bytes()

    def client(self, name: str = "client") -> ClientCertificate:
        """The client *name*: the same certificate each time, another one for each name."""
        if name not in self._clients:
            self._clients[name] = self._issue(name)
        return self._clients[name]

    def expired(self, name: str = "client") -> ClientCertificate:
        """A certificate for *name* that ended yesterday."""
        return self._issue(name, not_after=datetime.now(timezone.utc) - timedelta(days=1))

    def renewed(self, client: ClientCertificate) -> ClientCertificate:
        """A new certificate for the same name and the same key, from the same CA, as a renewal gives."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization

        old = client.peer.x509
        ca_key: Any = serialization.load_pem_private_key(self.ca.private_key_pem.bytes(), None)
        builder = (
            x509.CertificateBuilder()
            .issuer_name(old.issuer)
            .subject_name(old.subject)
            .public_key(old.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(old.not_valid_before_utc)
            .not_valid_after(old.not_valid_after_utc)
        )
        for extension in old.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        new = builder.sign(ca_key, hashes.SHA256())
        return ClientCertificate(client.name, new.public_bytes(serialization.Encoding.PEM).decode(), client.key_pem)

    def mint(self, client: ClientCertificate, **options: Any) -> str:
        """A token that is bound to *client*; *options* are those of `TokenIssuer.mint`."""
        defaults: dict[str, Any] = {"client_id": client.name, "audience": self.audience}
        return self.issuer.mint(client.peer, **(defaults | options))

    def claims(self, client: ClientCertificate, **changes: Any) -> dict[str, Any]:
        """The claims of such a token, to be changed and signed; a change to ``...`` takes a claim away."""
        claims = self.verifier.verify(self.mint(client), client.peer).claims | changes
        return {name: value for name, value in claims.items() if value is not ...}

    def sign(
        self,
        claims: Mapping[str, Any] | bytes,
        *,
        header: Mapping[str, Any] | bytes | None = None,
        key: SigningKey | None = None,
    ) -> str:
        """Sign whatever is given, as no issuer would: for tests that something is refused.

        Args:
            claims: The payload, as JSON members or as bytes.
            header: Changes to the header (``...`` takes a member away), or all of it as bytes.
            key: Default: the issuer's.
        """
        signer = key or self.key
        if not isinstance(header, bytes):
            members = {"alg": signer.algorithm, "typ": "at+jwt", "kid": signer.kid} | dict(header or {})
            header = json.dumps({name: value for name, value in members.items() if value is not ...}).encode()
        payload = claims if isinstance(claims, bytes) else json.dumps(dict(claims)).encode()
        message = base64url(header) + b"." + base64url(payload)
        return (message + b"." + base64url(signer.sign(message))).decode()

    def unbound(self, client: ClientCertificate) -> str:
        """A good token of the issuer without ``cnf``: a plain bearer token."""
        return self.sign(self.claims(client, cnf=...))

    def _issue(self, name: str, **options: Any) -> ClientCertificate:
        leaf = self.ca.issue_cert(f"{name}.client.example", common_name=name, **options)
        pem = "".join(blob.bytes().decode() for blob in leaf.cert_chain_pems)
        return ClientCertificate(name, pem, leaf.private_key_pem.bytes())
