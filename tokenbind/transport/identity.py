"""`Identity`: one generation of a client certificate and its key, immutable, with TLS contexts of its own."""

from __future__ import annotations

from datetime import datetime
import re
import ssl
import threading
from typing import Any, NoReturn

from ..binding import PeerCertificate
from ..errors import IdentityError, InvalidRequest
from .tls_context import Trust, client_context, load_identity


__all__ = ["Identity"]

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\r?\n.*?\r?\n-----END CERTIFICATE-----", re.DOTALL)


class Identity:
    """A certificate chain with its private key.

    Token, TLS context and connections are chosen from one identity at a time: a token is bound to the certificate, and
    a connection keeps the certificate of its handshake. When a certificate is renewed, a new identity takes over.

    Args:
        certificates: PEM text with the leaf first; what stands around the blocks is ignored.
        key: The PEM private key of the leaf.
        password: The key's password.

    Raises:
        IdentityError: if they cannot be read, or do not belong together.
    """

    def __init__(self, certificates: str, key: bytes, password: str | None = None) -> None:
        blocks = _CERTIFICATE.findall(certificates)
        if not blocks:
            raise IdentityError(f"there is no certificate: {_what_it_is(certificates)}")
        if b"-----BEGIN" not in key:
            raise IdentityError(f"there is no private key: {_what_it_is(key.decode('latin-1'))}")
        try:
            self._certificate = PeerCertificate.from_pem("\n".join(blocks))
        except InvalidRequest as error:
            raise IdentityError(f"the certificate cannot be read: {error}") from None
        self._pem = "\n".join(blocks).encode()
        self._key = key
        # A UnicodeEncodeError would carry the secret along.
        self._password = None if password is None else password.encode("utf-8", "surrogatepass")
        self._contexts: dict[Trust, ssl.SSLContext] = {}
        self._lock = threading.Lock()
        load_identity(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), self._pem, key, self._password)

    @property
    def certificate(self) -> PeerCertificate:
        """The certificate as the server will see it."""
        return self._certificate

    @property
    def thumbprint(self) -> str:
        """The ``x5t#S256`` that tokens for this identity must name."""
        return self._certificate.thumbprint

    @property
    def not_after(self) -> datetime:
        """The end of the certificate's validity, aware, in UTC."""
        return self._certificate.not_after

    def ssl_context(self, ca: Trust = None) -> ssl.SSLContext:
        """The frozen TLS context that presents this identity to servers that *ca* vouches for; one for each *ca*.

        Raises:
            ConfigurationError: if *ca* cannot be read.
        """
        with self._lock:
            if ca not in self._contexts:
                context = client_context(ca)
                load_identity(context, self._pem, self._key, self._password)
                self._contexts[ca] = context.freeze()
            return self._contexts[ca]

    def __reduce__(self) -> NoReturn:
        raise TypeError("an Identity holds a private key and is not pickled")

    def __copy__(self) -> Identity:
        return self

    def __deepcopy__(self, memo: Any) -> Identity:
        return self

    def __repr__(self) -> str:
        return f"<Identity {self.thumbprint}>"


def _what_it_is(text: str) -> str:
    if "PRIVATE KEY-----" in text:
        return "this is a private key; are the two swapped?"
    if "-----BEGIN CERTIFICATE REQUEST" in text:
        return "this is a certificate request; the CA makes the certificate of it"
    if text[:1] == "0" and not text.isprintable():
        return "this is DER or PKCS#12; PEM is needed (openssl x509, pkey or pkcs12 convert it)"
    return "no PEM block was found"
