"""`PKCS12Identity`: certificate, key and chain in one PKCS#12 file (RFC 7292), ``.p12`` or ``.pfx``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import IdentityError
from .as_pem import certificates_as_pem, key_as_pem
from .followed_files import file_name
from .identity import Identity, Password, is_pkcs12, password_bytes
from .identity_sources import follow


if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["PKCS12Identity"]


class PKCS12Identity:
    """An identity from a PKCS#12 file, which is followed as in `FileIdentity`, or from its bytes, which never change.

    Its chain is put in order, leaf first; certificates that do not belong to it are left out. If the file holds several
    keys, the first one counts.

    Args:
        file: The name of the file, or its content as bytes.
        password: Its password, or a function that returns it: see `FileIdentity`.

    Raises:
        IdentityError: if, for a second, the file cannot be read, or has no key with its certificate.
    """

    def __init__(self, file: str | os.PathLike[str] | bytes, password: Password = None) -> None:
        fixed = file if isinstance(file, bytes) else b""
        files = () if isinstance(file, bytes) else (file_name(file, IdentityError, "for PEM text use MemoryIdentity"),)
        self._files = follow(files, lambda contents: _read(contents[0] if contents else fixed, password))

    def current(self) -> Identity:
        """The identity in the file as it is, or as it last was when it could be used."""
        return self._files.current()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._files.last.thumbprint}>"


def _read(data: bytes, password: Password) -> Identity:
    from cryptography.hazmat.primitives.serialization import pkcs12

    secret = password_bytes(password)
    if b"-----BEGIN" in data:
        raise IdentityError("this is PEM, not PKCS#12; use FileIdentity, or MemoryIdentity")
    try:
        key, leaf, others = pkcs12.load_key_and_certificates(data, secret)
        pem = key_as_pem(key) if key else None
    except Exception:  # noqa: BLE001 - documented as ValueError, but what is hostile or old-fashioned has raised others
        if not is_pkcs12(data):
            raise IdentityError("this is not PKCS#12, or it is cut off") from None
        hint = "does it need a password?" if secret is None else "is the password right?"
        raise IdentityError(f"the PKCS#12 data cannot be read; {hint}") from None
    if pem is None or leaf is None:
        raise IdentityError("the PKCS#12 data holds no private key with its certificate")
    return Identity(b"".join(certificates_as_pem(_chain(leaf, others))), pem)


def _chain(leaf: Certificate, others: list[Certificate]) -> list[Certificate]:
    """*leaf*, and those of *others* that lead on from it; the file need not have them in order."""
    chain = [leaf]
    while True:
        issuer = next((one for one in others if one not in chain and _issued(one, chain[-1])), None)
        if issuer is None:
            return chain
        chain.append(issuer)


def _issued(issuer: Certificate, certificate: Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # noqa: BLE001 - another name, another key, a key or signature that is not known
        return False
    return True
