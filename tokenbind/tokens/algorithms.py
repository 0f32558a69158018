"""The signature algorithms: which exist here, which key each belongs to, and how `cryptography` is asked.

ES256, PS256 and EdDSA are the ones of FAPI 2.0 (§5.4.1) and the default everywhere. ``none`` and HMAC do not exist.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ConfigurationError, InvalidToken, Reason


if TYPE_CHECKING:
    pass

__all__ = [
    "ALGORITHMS",
    "DEFAULT_ALGORITHMS",
    "algorithms_of",
    "canonical_algorithms",
    "require_algorithm",
    "require_sound_key",
    "sign_function",
    "verify_function",
]

DEFAULT_ALGORITHMS = ("ES256", "PS256", "EdDSA")

MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192


class Algorithm(NamedTuple):
    """One signature algorithm of RFC 7518 §3.1, RFC 8037 or RFC 9864.

    `crv` is the curve's name in a JWK, `curve` and `hash` are names of `cryptography` classes, and `size` is the
    length of r and of s in bytes.
    """

    kty: str
    hash: str = ""
    crv: str | None = None
    curve: str = ""
    size: int = 0
    pss: bool = False


ALGORITHMS = {
    "ES256": Algorithm("EC", "SHA256", "P-256", "SECP256R1", 32),
    "ES384": Algorithm("EC", "SHA384", "P-384", "SECP384R1", 48),
    "ES512": Algorithm("EC", "SHA512", "P-521", "SECP521R1", 66),
    "PS256": Algorithm("RSA", "SHA256", pss=True),
    "PS384": Algorithm("RSA", "SHA384", pss=True),
    "PS512": Algorithm("RSA", "SHA512", pss=True),
    "RS256": Algorithm("RSA", "SHA256"),
    "RS384": Algorithm("RSA", "SHA384"),
    "RS512": Algorithm("RSA", "SHA512"),
    "EdDSA": Algorithm("OKP", crv="Ed25519"),
    "Ed25519": Algorithm("OKP", crv="Ed25519"),
}


def canonical_algorithms(names: object) -> frozenset[str]:
    """The set of *names*, EdDSA and its new name Ed25519 (RFC 9864) standing for each other.

    Raises:
        ConfigurationError: if there is none, or one that does not exist here.
    """
    if isinstance(names, str) or not isinstance(names, (tuple, list, set, frozenset)) or not names:
        raise ConfigurationError('algorithms= takes a tuple of names, such as ("ES256", "PS256", "EdDSA")')
    for name in names:
        require_algorithm(name)
    chosen = frozenset(names)
    return chosen | {"EdDSA", "Ed25519"} if chosen & {"EdDSA", "Ed25519"} else chosen


def require_algorithm(name: object) -> Algorithm:
    if type(name) is not str or name not in ALGORITHMS:
        hint = " HMAC has no public key, so everyone who verifies could mint." if str(name)[:2] == "HS" else ""
        raise ConfigurationError(f"the algorithm must be one of {', '.join(ALGORITHMS)}.{hint}")
    return ALGORITHMS[name]


def require_sound_key(key: object, what: str) -> str:
    """The default algorithm of a `cryptography` key, public or private.

    Raises:
        ConfigurationError: if the key is of a type, curve or size that is not safe or not known here.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, (ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey)):
        return "EdDSA"
    if isinstance(key, (ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey)):
        for name, algorithm in ALGORITHMS.items():
            if algorithm.curve == key.curve.name.upper():
                return name
        raise ConfigurationError(f"{what}: the curve {key.curve.name} is not supported; use P-256")
    if isinstance(key, (rsa.RSAPublicKey, rsa.RSAPrivateKey)):
        if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
            raise ConfigurationError(
                f"{what} is an RSA key of {key.key_size} bits; it must have {MIN_RSA_BITS} to {MAX_RSA_BITS}"
            )
        public = key if isinstance(key, rsa.RSAPublicKey) else key.public_key()
        exponent = public.public_numbers().e
        # An exponent of 1 signs nothing, a huge one makes every verification slow.
        if exponent < 3 or exponent % 2 == 0 or exponent.bit_length() > 64:
            raise ConfigurationError(f"{what}: the RSA exponent must be odd, 3 or more, and at most 64 bits long")
        return "PS256"
    raise ConfigurationError(f"{what}: only RSA, EC (P-256, P-384, P-521) and Ed25519 keys can be used")


def algorithms_of(kty: object, crv: object) -> list[str]:
    """The algorithms that a key of this type and curve can be used with."""
    return [name for name, algorithm in ALGORITHMS.items() if (algorithm.kty, algorithm.crv) == (kty, crv)]


def verify_function(key: Any, name: str) -> Callable[[bytes, bytes], None]:
    """A function of signature and message that returns, or raises InvalidToken with ``signature_invalid``."""
    from cryptography.exceptions import InvalidSignature

    algorithm = ALGORITHMS[name]
    verify: Callable[..., None] = key.verify
    if algorithm.kty == "EC":
        return _verify_ec(verify, algorithm)
    if algorithm.kty == "RSA":
        padding, hash_ = _rsa_padding(algorithm), _hash(algorithm)

        def verify_rsa(signature: bytes, message: bytes) -> None:
            try:
                verify(signature, message, padding, hash_)
            except InvalidSignature:
                raise _signature_invalid() from None

        return verify_rsa

    def verify_okp(signature: bytes, message: bytes) -> None:
        try:
            verify(signature, message)
        except InvalidSignature:
            raise _signature_invalid() from None

    return verify_okp


def _verify_ec(verify: Callable[..., None], algorithm: Algorithm) -> Callable[[bytes, bytes], None]:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    ecdsa, size, integer = ECDSA(_hash(algorithm)), algorithm.size, int.from_bytes

    def verify_ec(signature: bytes, message: bytes) -> None:
        # RFC 7518 §3.4: r and s as octet strings of fixed length, not DER.
        if len(signature) != 2 * size:
            raise _signature_invalid()
        r, s = integer(signature[:size], "big"), integer(signature[size:], "big")
        try:
            verify(encode_dss_signature(r, s), message, ecdsa)
        except InvalidSignature:
            raise _signature_invalid() from None

    return verify_ec


def _signature_invalid() -> InvalidToken:
    return InvalidToken(Reason.SIGNATURE_INVALID, "the token's signature is not the issuer's")


def sign_function(key: Any, name: str) -> Callable[[bytes], bytes]:
    """A function of a message that returns its JWS signature."""
    algorithm = ALGORITHMS[name]
    sign = key.sign
    if algorithm.kty == "OKP":
        return sign  # type: ignore[no-any-return]
    hash_ = _hash(algorithm)
    if algorithm.kty == "RSA":
        padding = _rsa_padding(algorithm)
        return lambda message: sign(message, padding, hash_)
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    ecdsa, size = ECDSA(hash_), algorithm.size

    def sign_ec(message: bytes) -> bytes:
        r, s = decode_dss_signature(sign(message, ecdsa))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    return sign_ec


def _hash(algorithm: Algorithm) -> Any:
    from cryptography.hazmat.primitives import hashes

    return getattr(hashes, algorithm.hash)()


def _rsa_padding(algorithm: Algorithm) -> Any:
    from cryptography.hazmat.primitives.asymmetric import padding

    if not algorithm.pss:
        return padding.PKCS1v15()
    hash_ = _hash(algorithm)
    # RFC 7518 §3.5: "The size of the salt value is the same size as the hash function output."
    return padding.PSS(mgf=padding.MGF1(hash_), salt_length=hash_.digest_size)
