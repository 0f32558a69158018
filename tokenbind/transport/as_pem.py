"""What `cryptography` has read, as the PEM text that an `Identity` is made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate

__all__ = ["certificates_as_pem", "key_as_pem"]


def certificates_as_pem(certificates: Iterable[Certificate]) -> list[bytes]:
    """Each of them, in this order."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return [certificate.public_bytes(Encoding.PEM) for certificate in certificates]


def key_as_pem(key: PrivateKeyTypes) -> bytes:
    """The key in the clear, as PKCS#8."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
