"""PEM text with blanks where its line ends were: Apache's ``%{SSL_CLIENT_CERT}s``."""

from __future__ import annotations

from ...binding.pem import malformed, read_base64_der


__all__ = ["read"]

_BEGIN = b"-----BEGIN CERTIFICATE----- "
_END = b" -----END CERTIFICATE-----"


def read(value: bytes) -> tuple[bytes, ...]:
    """One certificate, with nothing around it."""
    if not value.startswith(_BEGIN) or not value.endswith(_END):
        raise malformed("this is not one PEM block, with blanks for its line ends")
    return (read_base64_der(value[len(_BEGIN) : -len(_END)].replace(b" ", b"").decode("latin-1")),)
