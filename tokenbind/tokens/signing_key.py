"""`SigningKey`, a private key in this process, and `Signer`, what an issuer asks of any key, wherever it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import json
from typing import Any, NamedTuple, Protocol

from ..errors import ConfigurationError, InvalidToken, Reason, Unavailable
from .algorithms import ALGORITHMS, algorithms_of, require_algorithm, require_sound_key, sign_function
from .jwk import _PRIVATE_MEMBERS as PRIVATE_MEMBERS, export_jwk, jwk_thumbprint
from .keys import KeySet, read_jwks


__all__ = ["Signer", "SigningKey", "checked_sign", "jws_signature", "known_signer", "plain_public_jwk", "publishable"]

_TRIAL = b"tokenbind"
_RSA_BITS = 2048  # of generated keys: the length that FAPI 2.0 asks for, and a third of the signing time of 3072
_MAX_PASSWORD_BYTES = 1023  # of OpenSSL


class Signer(Protocol):
    """Whatever can sign for an issuer; `SigningKey` does, and so can a key that never leaves its KMS, Vault or HSM.

    What `sign` raises becomes `Unavailable`. It is called on the thread that mints.
    """

    @property
    def algorithm(self) -> str:
        """The JWS ``alg``."""
        ...

    @property
    def kid(self) -> str:
        """The key id."""
        ...

    @property
    def public_jwk(self) -> dict[str, str]:
        """The public key as a JWK with ``kid``, to be published."""
        ...

    @property
    def sign(self) -> Callable[[bytes], bytes]:
        """A function of the message that returns the JWS signature: for ECDSA r and s, not DER (`jws_signature`)."""
        ...


class SigningKey:
    """A private key that signs tokens, for one algorithm. Its repr, and every message about it, show the kid only."""

    def __init__(self, private_key: Any, *, kid: str | None = None, algorithm: str | None = None) -> None:
        """Take a private key of `cryptography`.

        Args:
            private_key: RSA of 2048 to 8192 bits, EC on P-256, P-384 or P-521, or Ed25519.
            kid: Printable text; default: the RFC 7638 thumbprint of the public key.
            algorithm: Default: PS256 for RSA, the one of the curve for EC, EdDSA for Ed25519.

        Raises:
            ConfigurationError: if key and algorithm do not fit, or are not safe, or if *kid* is no such text.
        """
        default = require_sound_key(private_key, "the signing key")
        if not hasattr(private_key, "sign"):
            raise ConfigurationError("the signing key is a public key; give the private one")
        self._algorithm = algorithm or default
        require_algorithm(self._algorithm)
        fitting = algorithms_of(ALGORITHMS[default].kty, ALGORITHMS[default].crv)
        if self._algorithm not in fitting:
            raise ConfigurationError(f"the signing key cannot be used with {algorithm}, only with {', '.join(fitting)}")
        self._private_key = private_key
        public = export_jwk(private_key.public_key(), self._algorithm)
        self._kid = kid or jwk_thumbprint(public)
        _require_kid(self._kid)
        self._public_jwk = {**public, "kid": self._kid, "use": "sig", "alg": self._algorithm}
        self.sign: Callable[[bytes], bytes] = sign_function(private_key, self._algorithm)

    @classmethod
    def generate(cls, algorithm: str = "ES256", *, kid: str | None = None) -> SigningKey:
        """A new key for *algorithm*; RSA keys get 2048 bits.

        Raises:
            ConfigurationError: if there is no such algorithm.
        """
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

        wanted = require_algorithm(algorithm)
        key: Any
        if wanted.kty == "RSA":
            key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
        elif wanted.kty == "EC":
            key = ec.generate_private_key(getattr(ec, wanted.curve)())
        else:
            key = ed25519.Ed25519PrivateKey.generate()
        return cls(key, kid=kid, algorithm=algorithm)

    @classmethod
    def from_pem(
        cls,
        pem: str | bytes,
        password: str | bytes | None = None,
        *,
        kid: str | None = None,
        algorithm: str | None = None,
    ) -> SigningKey:
        """From a private key in PEM: PKCS#8, PKCS#1 or SEC 1.

        Raises:
            ConfigurationError: if it cannot be read (the text is not shown), or as for the constructor.
        """
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        key: Any = None
        try:
            key = load_pem_private_key(_encoded(pem), None if password is None else _encoded(password))
        except Exception:  # noqa: BLE001, S110 - whatever it was may quote the input, and must not be our context
            pass
        if key is None and password is None and b"ENCRYPTED" in _encoded(pem or b""):
            raise ConfigurationError("the signing key is encrypted, and no password= was given")
        if key is None:
            raise ConfigurationError("the signing key is no PEM private key, or its password= is wrong")
        return cls(key, kid=kid, algorithm=algorithm)

    @property
    def algorithm(self) -> str:
        """The JWS ``alg`` of its signatures."""
        return self._algorithm

    @property
    def kid(self) -> str:
        """The key id that stands in tokens and in the JWK."""
        return self._kid

    @property
    def public_jwk(self) -> dict[str, str]:
        """The public key as a JWK with ``kid``, ``use`` and ``alg`` (RFC 7517); a new dict each time."""
        return dict(self._public_jwk)

    def to_pem(self, password: str | bytes | None = None) -> bytes:
        """The private key as PKCS#8 PEM, encrypted if there is a password. This is the secret itself.

        Raises:
            ConfigurationError: if the password is empty, or longer than 1023 bytes.
        """
        from cryptography.hazmat.primitives import serialization

        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password is not None:
            secret = _encoded(password)
            if not 0 < len(secret) <= _MAX_PASSWORD_BYTES:
                raise ConfigurationError(f"a password has 1 to {_MAX_PASSWORD_BYTES} bytes; None is for no encryption")
            encryption = serialization.BestAvailableEncryption(secret)
        pem: bytes = self._private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )
        return pem

    def __reduce__(self) -> Any:
        raise ConfigurationError("a SigningKey is not pickled; use to_pem() where the secret really must travel")

    def __repr__(self) -> str:
        return f"<SigningKey {self._algorithm} kid={self._kid}>"


def _encoded(text: str | bytes) -> bytes:
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text


def jws_signature(der: bytes, algorithm: str) -> bytes:
    """An ECDSA signature in DER, as most KMS give it, in the form that JWS has: r and s (RFC 7518 §3.4).

    Does NOT verify it.

    Raises:
        ConfigurationError: if *algorithm* is not of ECDSA, or *der* is not such a signature.
    """
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    size = require_algorithm(algorithm).size
    if not size:
        raise ConfigurationError(
            f"a signature of {algorithm} is the same in JWS; only those of ECDSA are DER elsewhere"
        )
    try:
        r, s = decode_dss_signature(der)
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    except (TypeError, ValueError, OverflowError):
        raise ConfigurationError(f"this is not an {algorithm} signature in DER") from None


class KnownSigner(NamedTuple):
    """What an issuer knows of a signer. It is asked once: a second answer might be another one."""

    algorithm: str
    kid: str
    jwk: dict[str, Any]
    sign: Callable[[bytes], bytes]
    verify: Callable[[bytes, bytes], None]


def known_signer(key: Signer) -> KnownSigner:
    """Read what *key* says of itself; nothing is signed.

    Raises:
        ConfigurationError: if it is no signer, or if its attributes do not fit together.
    """
    try:
        algorithm, kid, jwk, sign = key.algorithm, key.kid, key.public_jwk, key.sign
    except Exception as error:
        raise ConfigurationError(
            f"a key must be a SigningKey, or a Signer with algorithm, kid, public_jwk and sign ({type(error).__name__})"
        ) from error
    require_algorithm(algorithm)
    _require_kid(kid)
    if not callable(sign):
        raise ConfigurationError("the signer's sign must be a function of the message")
    jwk = plain_public_jwk(jwk)
    try:
        verify = publishable([jwk]).find(kid, algorithm).verify
    except InvalidToken:
        raise ConfigurationError(
            f"the signer's public_jwk must have the signer's kid, and be for {algorithm}"
        ) from None
    return KnownSigner(algorithm, kid, jwk, sign, verify)


def checked_sign(key: Signer, known: KnownSigner) -> Callable[[bytes], bytes]:
    """How *key* signs; of a key that is elsewhere it is tried once, and every later failure becomes `Unavailable`.

    Raises:
        ConfigurationError: if it does not sign what its public key verifies.
    """
    sign, algorithm = known.sign, known.algorithm
    if isinstance(key, SigningKey):
        return sign
    try:
        signature = sign(_TRIAL)
    except Exception as error:
        raise ConfigurationError(f"the signer was tried, and failed: {type(error).__name__}") from error
    if type(signature) is not bytes:
        raise ConfigurationError(f"the signer was tried, and returned {type(signature).__name__}; it must return bytes")
    try:
        known.verify(signature, _TRIAL)
    except InvalidToken:
        hint = "; it must be r and s, not DER: see tokenbind.tokens.jws_signature" if ALGORITHMS[algorithm].size else ""
        raise ConfigurationError(
            f"what the signer signs does not verify with its own public_jwk as {algorithm}{hint}"
        ) from None
    size = len(signature)  # all signatures of a key and algorithm are of one length

    def sign_elsewhere(message: bytes) -> bytes:
        try:
            signature = sign(message)
        except Exception as error:
            raise Unavailable(Reason.SIGNER_UNAVAILABLE, f"the signer failed: {type(error).__name__}") from error
        if type(signature) is not bytes or len(signature) != size:
            raise Unavailable(Reason.SIGNER_UNAVAILABLE, "the signer failed: it gave no signature")
        return signature

    return sign_elsewhere


def _require_kid(kid: object) -> None:
    # RFC 7515 §4.1.4: "Its value MUST be a case-sensitive string." A lone surrogate, which cannot be written, is
    # not printable either.
    if not isinstance(kid, str) or not kid or not kid.isprintable():
        raise ConfigurationError("a kid must be printable text that is not empty")


def plain_public_jwk(jwk: object) -> dict[str, Any]:
    """A copy of *jwk* that shares nothing with it; ConfigurationError if it is private, or no JSON."""
    if not isinstance(jwk, Mapping):
        raise _not_published(f"a public JWK is needed, not {type(jwk).__name__}")
    try:
        text = json.dumps(dict(jwk), allow_nan=False, ensure_ascii=False)
        text.encode()  # a lone surrogate is a ValueError
        copy: dict[str, Any] = json.loads(text)
    except Exception:  # noqa: BLE001 - of any mapping
        raise _not_published("it is not a JWK in plain JSON") from None
    # Of whatever type and use it is: `import_jwk` does not look at those that are not meant for signatures.
    if not PRIVATE_MEMBERS.isdisjoint(copy):
        raise _not_published("it is private; give the public members alone")
    return copy


def publishable(jwks: list[dict[str, Any]]) -> KeySet:
    """What resource servers make of *jwks*; ConfigurationError if one is broken, two are alike, or none is of use."""
    keys, problems = read_jwks({"keys": jwks}, None)
    if problems:
        raise _not_published(str(problems[0]))
    return keys


def _not_published(why: str) -> ConfigurationError:
    return ConfigurationError(f"a key cannot be published: {why}")
