"""`Identity`: one generation of a client certificate and its key, immutable, with TLS contexts of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from itertools import count
import re
import ssl
from time import time
from typing import Any, NoReturn

from ..binding import PeerCertificate
from ..errors import IdentityError, InvalidRequest
from .process_lock import ProcessLock
from .tls_context import FrozenContext, Trust, client_context, load_identity, require_trust


__all__ = ["Identity", "Password", "is_pkcs12", "password_bytes", "successor"]

#: Of an encrypted key: the password, or a function that returns it.
Password = str | bytes | Callable[[], str | bytes] | None

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\r?\n.*?\r?\n-----END CERTIFICATE-----", re.DOTALL)
_MAX_PASSWORD_BYTES = 1024  # ssl's

_generations = count(1)
# One for each CA bundle: those of all APIs and authorization servers. With fewer, each request would make one anew.
_MAX_CONTEXTS = 32


class Identity:
    """A certificate chain with its private key: one generation.

    Token, TLS context and connections are chosen from one identity at a time: a token is bound to the certificate, and
    a connection keeps the certificate of its handshake. When a certificate is renewed, a new identity takes over.

    Does NOT verify the chain, nor the dates: see `require_valid`.

    Args:
        certificates: PEM text with the leaf first, *str* or *bytes*; what stands around the blocks is ignored.
        key: The PEM private key of the leaf, *str* or *bytes*; certificates in it are ignored.
        password: The key's password, or a function that returns it and is called once, here; without one, an encrypted
            key is an error, and never a prompt.

    Attributes:
        generation: Counts on in this process: of two identities, the newer one has the higher number.

    Raises:
        IdentityError: if they cannot be read, or do not belong together.
    """

    def __init__(self, certificates: str | bytes, key: str | bytes, password: Password = None) -> None:
        text, key_text = _text("certificates", certificates), _text("key", key)
        blocks: list[str] = _CERTIFICATE.findall(text)
        # Otherwise those of a bundle would be sent twice.
        key_alone = _CERTIFICATE.sub("", key_text).strip()
        if text.count("-----BEGIN CERTIFICATE-----") != len(blocks):
            # Environment variables make two characters of a line break.
            ended = text.count("-----BEGIN CERTIFICATE-----") == text.count("-----END CERTIFICATE-----")
            raise IdentityError(
                "a certificate has no line breaks" if ended else "a certificate is cut off: its END line is not there"
            )
        if not blocks:
            raise IdentityError(f"there is no certificate: {_what_it_is(text, certificates)}")
        if "-----BEGIN" not in key_alone:
            found = (
                "these are certificates; give it as key=" if "-----BEGIN" in key_text else _what_it_is(key_text, key)
            )
            raise IdentityError(f"there is no private key: {found}")
        self._pem = "\n".join(blocks).encode("latin-1")
        self._key = key_alone.encode("latin-1") + b"\n"
        try:
            self._certificate = PeerCertificate.from_pem("\n".join(blocks))
            x509 = self._certificate.x509
            self._not_before = x509.not_valid_before_utc.timestamp()
            self._not_after = x509.not_valid_after_utc.timestamp()
        except (InvalidRequest, ValueError) as error:
            why = error if isinstance(error, InvalidRequest) else "its dates are none"
            raise IdentityError(f"the certificate cannot be read: {why}") from None
        self._password = password_bytes(password)
        self._problem: str | None = None
        self._contexts: dict[Trust, FrozenContext] = {}
        self._lock = ProcessLock()
        load_identity(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), self._pem, self._key, self._password)
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
        problem = self.date_problem()
        if problem is not None:
            raise IdentityError("; ".join(filter(None, (problem, self._problem))))

    def date_problem(self) -> str | None:
        """Why the certificate is not within its dates now; None if it is."""
        now = time()
        if self._not_before <= now < self._not_after:
            return None
        early = now < self._not_before
        moment = datetime.fromtimestamp(self._not_before if early else self._not_after, timezone.utc)
        which = "is not valid before" if early else "expired at"
        return f"the client's certificate {which} {moment:%Y-%m-%d %H:%M:%S} UTC"

    def note(self, problem: str | None) -> None:
        """For sources: why no newer identity has taken over, which `require_valid` adds to what it says; or None."""
        self._problem = problem

    def ssl_context(self, ca: Trust = None) -> ssl.SSLContext:
        """The frozen TLS context that presents this identity to servers that *ca* vouches for; one for each *ca*.

        Raises:
            ConfigurationError: if *ca* cannot be read.
        """
        require_trust(ca)
        context = self._contexts.get(ca)
        if context is not None:
            return context
        with self._lock.mine():
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


def _what_it_is(text: str, given: str | bytes) -> str:
    """*text*, which was *given*, and is not what was needed."""
    if "PRIVATE KEY-----" in text:
        return "this is a private key; are the two swapped?"
    if "-----BEGIN CERTIFICATE REQUEST" in text:
        return "this is a certificate request; the CA makes the certificate of it"
    if text[:1] == "0" and not text.isprintable():
        if is_pkcs12(text.encode("latin-1")):
            return "this is PKCS#12; use PKCS12Identity"
        return "this is DER; PEM is needed (openssl x509 or pkey convert it)"
    if isinstance(given, str) and given and "\n" not in given:
        return "this is no PEM text; for the name of a file use FileIdentity"
    return "no PEM block was found"


def is_pkcs12(data: bytes) -> bool:
    """Whether it begins like PKCS#12 (RFC 7292 §4: a SEQUENCE with the version, "INTEGER {v3(3)}", as its first)."""
    return data[:1] == b"0" and b"\2\1\3" in data[:9]


def _text(name: str, value: str | bytes) -> str:
    """Each character stands for a byte."""
    if isinstance(value, str):
        # A UnicodeEncodeError would carry the secret along.
        return value.encode("utf-8", "surrogatepass").decode("latin-1")
    if not isinstance(value, bytes):
        raise IdentityError(f"{name}= must be PEM text, as str or bytes; for files use FileIdentity")
    return value.decode("latin-1")


def successor(new: Identity, last: Identity | None) -> Identity:
    """*new*, which follows *last*; or *last* itself, if that is the same.

    Raises:
        IdentityError: if *last* is valid now, and *new* is not.
    """
    if last is None:
        return new
    if (new._pem, new._key) == (last._pem, last._key):
        return last
    problem = new.date_problem()
    if problem is not None and last.date_problem() is None:
        raise IdentityError(problem)
    return new


def password_bytes(password: Password) -> bytes | None:
    given: object = password
    if callable(password):
        try:
            given = password()
        except Exception as error:  # noqa: BLE001 - the user's own function; what it says may be the secret
            raise IdentityError(f"the function for the key's password raised {type(error).__name__}") from None
        if given is None:
            raise IdentityError("the function for the key's password returned None")
    if isinstance(given, str):
        given = given.encode("utf-8", "surrogatepass")
    if given is not None and not isinstance(given, bytes):
        raise IdentityError("the key's password must be a str, bytes, or a function that returns one")
    if given is not None and len(given) > _MAX_PASSWORD_BYTES:
        raise IdentityError(f"the key's password is longer than {_MAX_PASSWORD_BYTES} bytes")
    return given
