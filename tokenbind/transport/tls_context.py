"""TLS client contexts: frozen once built, trusting exactly what they were told to, keys never on disk in the clear."""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
import re
import secrets
import ssl
import tempfile
import threading
from typing import Any, NoReturn

from ..errors import ConfigurationError, IdentityError


__all__ = ["FrozenContext", "Trust", "client_context", "is_pem", "load_identity", "require_trust"]

#: Which server certificates are trusted: a file of PEM certificates, their text as bytes, or None for the system's,
#: which OpenSSL finds: $SSL_CERT_FILE may name others.
Trust = str | os.PathLike[str] | bytes | None

_is_common = re.compile(rb"-----BEGIN (?:(?:RSA|EC) )?PRIVATE KEY-----").search  # and no engine's or token's
_NO_PASSWORD = "the private key is encrypted, and no password was given"
_MFD_NOEXEC_SEAL = 0x8  # Linux 6.3; needed where vm.memfd_noexec=2


class FrozenContext(ssl.SSLContext):
    """An `ssl.SSLContext` that nobody can change once it is frozen.

    HTTP libraries write into a context that they are given: urllib3 sets its ALPN protocols and loads certifi's 118 CAs
    into it at each connection, which widens trust, and from two threads has crashed CPython (gh-141012). What they set
    to the value it has is let pass, what would change anything is refused.
    """

    _frozen = False
    #: Whether it has a client certificate.
    presents_certificate: bool = False

    def freeze(self) -> FrozenContext:
        object.__setattr__(self, "_frozen", True)
        return self

    def load_cert_chain(self, *args: Any, **options: Any) -> None:
        self._refuse_if_frozen("load_cert_chain")
        super().load_cert_chain(*args, **options)
        self.presents_certificate = True

    def load_verify_locations(self, *args: Any, **options: Any) -> None:
        self._refuse_if_frozen("load_verify_locations")
        super().load_verify_locations(*args, **options)

    def load_default_certs(self, *args: Any, **options: Any) -> None:
        self._refuse_if_frozen("load_default_certs")
        super().load_default_certs(*args, **options)

    def set_alpn_protocols(self, *args: Any, **options: Any) -> None:
        # Ignored rather than refused: every library sets its own list on every connection. Ours is HTTP/1.1.
        if not self._frozen:
            super().set_alpn_protocols(*args, **options)

    def __setattr__(self, name: str, value: object) -> None:
        if self._frozen:
            if getattr(self, name, None) != value:
                self._refuse_if_frozen(name)
            return
        super().__setattr__(name, value)

    def _refuse_if_frozen(self, what: str) -> None:
        if self._frozen:
            raise ssl.SSLError(f"this TLS context belongs to tokenbind and is frozen; {what} would change it")


def client_context(ca: Trust) -> FrozenContext:
    """A context, not frozen yet, that verifies servers against *ca*, by name, with TLS 1.2 or newer.

    Raises:
        ConfigurationError: if *ca* cannot be read, or holds no certificate.
    """
    context = FrozenContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.post_handshake_auth = True
    context.set_alpn_protocols(["http/1.1"])
    if ca is None:
        context.load_default_certs()
        return context
    require_trust(ca)
    if is_pem(ca):
        raise ConfigurationError("ca= is PEM text; give the name of a file, or the text as bytes")
    shown = "the given bytes" if isinstance(ca, bytes) else repr(os.fspath(ca))
    try:
        pem = ca if isinstance(ca, bytes) else Path(ca).read_bytes()
        # Names of CAs stand beside their certificates, not in ASCII always.
        context.load_verify_locations(cadata=pem.decode("ascii", "backslashreplace"))
    except FileNotFoundError:
        raise ConfigurationError(f"ca= names a file that does not exist: {shown}") from None
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        raise ConfigurationError(f"ca= has no PEM certificates that can be read: {shown}") from None
    return context


def require_trust(ca: object) -> None:
    """Pass if *ca* is of a kind that `client_context` takes.

    Raises:
        ConfigurationError: otherwise.
    """
    if ca is not None and not isinstance(ca, (bytes, str, os.PathLike)):
        raise ConfigurationError("ca= must be the name of a file of PEM certificates, or their text as bytes")


def is_pem(value: object) -> bool:
    """Whether PEM text was given for a file's name: it may be a private key, and must not be shown."""
    return isinstance(value, str) and ("-----BEGIN" in value or "\n" in value)


def load_identity(context: ssl.SSLContext, certificates: bytes, key: bytes, password: bytes | None) -> None:
    """Load a PEM chain and its PEM key into *context*, through memory.

    The key is not looked at before OpenSSL does: it may be one that only OpenSSL can read, such as a PKCS#11 URI.

    Raises:
        IdentityError: if they cannot be read, or do not belong together.
    """

    def load(path: str, key_path: str | None = None, secret: str | bytes | None = password) -> None:
        context.load_cert_chain(path, key_path, secret if secret is not None else _never_ask)

    try:
        if not (_through_memfd(load, certificates, key) or _through_pipes(load, certificates, key)):
            _through_encrypted_file(load, certificates, key, password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise IdentityError("the private key does not belong to the certificate") from None
        if error.reason is not None and error.reason.endswith(("_TOO_SMALL", "_TOO_WEAK")):
            raise IdentityError(f"OpenSSL refuses the certificate: {error.reason}; get a stronger one") from None
        raise IdentityError(_fault_of(key) or _why_unreadable(key, password, error.reason)) from None
    except OSError:  # through a pipe, OpenSSL's own reason is hidden behind ESPIPE
        unknown = "the private key cannot be read, or does not belong to the certificate"
        raise IdentityError(_fault_of(key) or unknown) from None


def _fault_of(key: bytes) -> str | None:
    """What *key* is, by its PEM labels, if OpenSSL cannot have taken it."""
    if b"PUBLIC KEY-----" in key and b"PRIVATE KEY-----" not in key:
        return "there is no private key: this is a public key"
    if b"-----BEGIN OPENSSH " in key:
        return "the private key is in OpenSSH's own format; ssh-keygen -p -m PKCS8 -f FILE rewrites it"
    if key.count(b"-----BEGIN ") > key.count(b"-----END "):
        return "the private key is cut off: its END line is not there"
    return None


def _why_unreadable(key: bytes, password: bytes | None, reason: str | None) -> str:
    """OpenSSL itself says "PEM lib" to nearly all of it."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if password is None and b"ENCRYPTED" in key:
        return _NO_PASSWORD
    if password is not None:
        return "the private key cannot be read; is the password right?"
    if reason is not None and not reason.startswith("BAD_"):
        return f"OpenSSL refuses the certificate or the private key: {reason}"
    try:
        load_pem_private_key(key, None)
    except Exception as error:  # noqa: BLE001 - some are of a kind that is not known there
        if isinstance(error, ValueError) and _is_common(key):
            return "the private key is damaged or cut off"
    return "the certificate or the private key cannot be read"


def _never_ask() -> NoReturn:
    # Without a callback OpenSSL asks on the terminal, and a service hangs.
    raise IdentityError(_NO_PASSWORD)


Load = Callable[..., None]


def _through_memfd(load: Load, certificates: bytes, key: bytes) -> bool:
    if not hasattr(os, "memfd_create"):
        return False
    try:
        try:
            descriptor = os.memfd_create("tokenbind", os.MFD_CLOEXEC | _MFD_NOEXEC_SEAL)
        except OSError:
            descriptor = os.memfd_create("tokenbind", os.MFD_CLOEXEC)
    except OSError:
        return False
    with os.fdopen(descriptor, "wb") as file:
        path = f"/proc/self/fd/{descriptor}"
        if not Path(path).exists():
            return False
        file.write(certificates.rstrip() + b"\n" + key)
        file.flush()
        load(path)
    return True


def _through_pipes(load: Load, certificates: bytes, key: bytes) -> bool:
    if not Path("/dev/fd").is_dir():
        return False
    ends: list[int] = []
    writers: list[threading.Thread] = []
    try:
        for data in (certificates, key):
            reading, writing = os.pipe()
            ends.append(reading)
            writers.append(threading.Thread(target=_write_and_close, args=(writing, data), daemon=True))
            writers[-1].start()
        load(f"/dev/fd/{ends[0]}", f"/dev/fd/{ends[1]}")
    finally:
        for end in ends:
            os.close(end)
        for writer in writers:
            writer.join()
    return True


def _write_and_close(descriptor: int, data: bytes) -> None:
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except BrokenPipeError:
        pass  # OpenSSL gave up reading, and says why itself


def _through_encrypted_file(load: Load, certificates: bytes, key: bytes, password: bytes | None) -> None:
    from cryptography.hazmat.primitives import serialization

    try:
        # To OpenSSL, a password that is not needed is none.
        private = serialization.load_pem_private_key(key, password if b"ENCRYPTED" in key else None)
    except (ValueError, TypeError):
        raise IdentityError(_fault_of(key) or _why_unreadable(key, password, None)) from None
    passphrase = secrets.token_hex(32)
    encrypted = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase.encode()),
    )
    with tempfile.TemporaryDirectory(prefix="tokenbind-") as folder:
        path = Path(folder, "identity.pem")
        path.write_bytes(certificates.rstrip() + b"\n" + encrypted)
        load(str(path), None, passphrase)
