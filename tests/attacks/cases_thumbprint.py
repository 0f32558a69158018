"""Attacks 13-16 and 22, on the thumbprint in the token: rows of the table. The rightful client presents each."""

from base64 import urlsafe_b64encode
from hashlib import sha1, sha256, sha512
from itertools import count

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tokenbind import Reason
from tokenbind.tokens.compact import base64url

from .cases import cases
from .cases_binding import naming


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def spelled(edit):
    """The right thumbprint, one that has ``-`` and ``_`` in it, in the spelling that *edit* gives it."""

    def special(kit):
        clients = (kit.client(f"client-{number}") for number in count())
        return next(client for client in clients if {"-", "_"} <= set(client.thumbprint))

    return naming(lambda client: edit(client.thumbprint), special)


def digest(client):
    return sha256(client.peer.der)


def spki(client):
    return client.peer.x509.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def b64(data):
    return base64url(data).decode()


THUMBPRINT = [
    *cases(
        "control",
        None,
        {
            "spelled": spelled(lambda right: right),
            "sha256": naming(lambda client: b64(digest(client).digest())),
        },
    ),
    *cases(
        13,
        Reason.CONFIRMATION_MALFORMED,
        {
            "padded": spelled(lambda right: right + "="),
            "newline-after": spelled(lambda right: right + "\n"),
            "newline-before": spelled(lambda right: "\n" + right),
            "space-after": spelled(lambda right: right + " "),
            "space-inside": spelled(lambda right: f"{right[:20]} {right[20:]}"),
            "standard-alphabet": spelled(lambda right: right.replace("-", "+").replace("_", "/")),
            "standard-alphabet-padded": spelled(lambda right: right.replace("-", "+").replace("_", "/") + "="),
            "percent-encoded": spelled(lambda right: right.replace("-", "%2D")),
            "nul-after": spelled(lambda right: right + "\0"),
        },
    ),
    *cases(
        14,
        Reason.CONFIRMATION_MALFORMED,
        {
            "hex": naming(lambda client: digest(client).hexdigest()),
            "hex-uppercase": naming(lambda client: digest(client).hexdigest().upper()),
            "hex-colons": naming(lambda client: digest(client).digest().hex(":")),
            "base64url-of-hex": naming(lambda client: b64(digest(client).hexdigest().encode())),
            "base64url-of-hex-padded": naming(
                lambda client: urlsafe_b64encode(digest(client).hexdigest().encode()).decode()
            ),
            "prefixed": naming(lambda client: f"sha-256:{client.thumbprint}"),
        },
    ),
    *cases(14, Reason.CERTIFICATE_MISMATCH, {"case-swapped": spelled(lambda right: right[:42].swapcase() + right[42])}),
    *cases(
        15,
        Reason.CONFIRMATION_MALFORMED,
        {
            f"spare-bits-{bits}": spelled(
                lambda right, bits=bits: right[:42] + ALPHABET[ALPHABET.index(right[42]) + bits]
            )
            for bits in (1, 2, 3)
        },
    ),
    *cases(
        16,
        Reason.CONFIRMATION_MALFORMED,
        {
            "sha1": naming(lambda client: b64(sha1(client.peer.der).digest())),
            "sha512": naming(lambda client: b64(sha512(client.peer.der).digest())),
        },
    ),
    *cases(
        16,
        Reason.CERTIFICATE_MISMATCH,
        {
            "spki": naming(lambda client: b64(sha256(spki(client)).digest())),
            "pem-text": naming(lambda client: b64(sha256(client.pem.encode()).digest())),
            "to-be-signed": naming(lambda client: b64(sha256(client.peer.x509.tbs_certificate_bytes).digest())),
        },
    ),
    *cases(
        22,
        Reason.CONFIRMATION_MALFORMED,
        {
            "non-ascii": naming(lambda client: "é" * 43),
            "non-ascii-digits": naming(lambda client: "٣" * 43),
            "full-width": spelled(lambda right: "".join(chr(ord(character) + 0xFEE0) for character in right)),
            "kelvin-sign": spelled(lambda right: "\u212a" + right[1:]),
        },
    ),
]
