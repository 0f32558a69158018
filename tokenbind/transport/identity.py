"""`Identity`: one generation of a client certificate and its key, immutable, with TLS contexts of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from itertools import count
import re
import ssl
import threading
from time import time
from typing import Any, NoReturn

from ..binding import PeerCertificate
from ..errors import IdentityError, InvalidRequest
from .tls_context import FrozenContext, Trust, client_context, load_identity


__all__ = ["Identity", "Password"]

#: Of an encrypted key: the password, or a function that returns it.
Password = str | bytes | Callable[[], str | bytes] | None

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\r?\n.*?\r?\n-----END CERTIFICATE-----", re.DOTALL)


_generations = count(1)
_MAX_CONTEXTS = 4  # one for each CA bundle: that of the API, that of the authorization server, and their successors


class Identity:
    """A certificate chain with its private key: one generation.

    Token, TLS context and connections are chosen from one identity at a time: a token is bound to the certificate, and
    a connection keeps the certificate of its handshake. When a certificate is renewed, a new identity takes over.

    Does NOT verify the chain, nor the dates: see `require_valid`.

    Args:
        certificates: PEM text with the leaf first; what stands around the blocks is ignored.
        key: The PEM private key of the leaf.
        password: The key's password, or a function that returns it; without one, an encrypted key is an error.

    Attributes:
        generation: Counts on in this process: of two identities, the newer one has the higher number.

    Raises:
        IdentityError: if they cannot be read, or do not belong together.
    """

    def __init__(self, certificates: str, key: bytes, password: Password = None) -> None:
        blocks = _CERTIFICATE.findall(certificates)
        if not blocks:
            raise IdentityError(f"there is no certificate: {_what_it_is(certificates)}")
        if b"-----BEGIN" not in key:
            raise IdentityError(f"there is no private key: {_what_it_is(key.decode('latin-1'))}")
        try:
            self._certificate = PeerCertificate.from_pem("\n".join(blocks))
            x509 = self._certificate.x509
        except InvalidRequest as error:
            raise IdentityError(f"the certificate cannot be read: {error}") from None
        self._not_before, self._not_after = x509.not_valid_before_utc.timestamp(), x509.not_valid_after_utc.timestamp()
        self._pem = "\n".join(blocks).encode()
        self._key = key
        self._password = _password_bytes(password)
        self._contexts: dict[Trust, FrozenContext] = {}
        self._lock = threading.Lock()
        load_identity(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), self._pem, key, self._password)
        self.generation: int = next(_generations)

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

    def remaining_seconds(self) -> float:
        """Until the certificate's end, by the wall clock; negative afterwards."""
        return self._not_after - time()

    def require_valid(self) -> None:
        """Pass if the certificate is within its dates now; a server would refuse the handshake, in worse words.

        Raises:
            IdentityError: otherwise.
        """
        now = time()
        if not self._not_before <= now < self._not_after:
            early = now < self._not_before
            moment = datetime.fromtimestamp(self._not_before if early else self._not_after, timezone.utc)
            which = "is not valid before" if early else "expired at"
            raise IdentityError(f"the client's certificate {which} {moment:%Y-%m-%d %H:%M:%S} UTC")

    def ssl_context(self, ca: Trust = None) -> ssl.SSLContext:
        """The frozen TLS context that presents this identity to servers that *ca* vouches for; one for each *ca*.

        Raises:
            ConfigurationError: if *ca* cannot be read.
        """
        context = self._contexts.get(ca)
        if context is not None:
            return context
        with self._lock:
            if ca not in self._contexts:
                context = client_context(ca)
                load_identity(context, self._pem, self._key, self._password)
                if len(self._contexts) >= _MAX_CONTEXTS:
                    del self._contexts[next(iter(self._contexts))]
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


def _password_bytes(password: Password) -> bytes | None:
    given = password() if callable(password) else password
    # A UnicodeEncodeError would carry the secret along.
    return given.encode("utf-8", "surrogatepass") if isinstance(given, str) else given
