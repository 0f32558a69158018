"""`SigningKey` for those who mint, `KeySet` for those who verify. PyJWT reads and writes the JWKs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
import json
from typing import Any, Protocol

from ..errors import ConfigurationError, InvalidToken, Reason
from .algorithms import ALGORITHMS, algorithms_of, require_algorithm, require_sound_key, sign_function, verification
from .compact import base64url


__all__ = ["KeySet", "KeySource", "SigningKey", "VerificationKey"]

_RSA_BITS = 2048  # of generated keys: the length that FAPI 2.0 asks for, and a third of the signing time of 3072
_MAX_PASSWORD_BYTES = 1023  # of OpenSSL
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class SigningKey:
    """A private key that signs tokens, for one algorithm. Its repr, and every message about it, show the kid only."""

    def __init__(self, private_key: Any, *, kid: str | None = None, algorithm: str | None = None) -> None:
        """Take a private key of `cryptography`.

        Args:
            private_key: RSA of 2048 to 8192 bits, EC on P-256, P-384 or P-521, or Ed25519.
            kid: Default: the RFC 7638 thumbprint of the public key.
            algorithm: Default: PS256 for RSA, the one of the curve for EC, EdDSA for Ed25519.

        Raises:
            ConfigurationError: if key and algorithm do not fit, or are not safe.
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
        public = _export_jwk(private_key.public_key(), self._algorithm)
        self._kid = kid or jwk_thumbprint(public)
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


class VerificationKey:
    """A public key together with the one algorithm it is used with here (RFC 8725 §3.1)."""

    __slots__ = ("_arguments", "_check", "_invalid_signature", "algorithm", "kid")

    def __init__(self, public_key: Any, algorithm: str, kid: str | None) -> None:
        from cryptography.exceptions import InvalidSignature

        self.algorithm: str = algorithm
        self.kid: str | None = kid
        self._check, self._arguments = verification(public_key, algorithm)
        self._invalid_signature = InvalidSignature

    def verify(self, signature: bytes, message: bytes) -> None:
        """Return if *signature* is this key's over *message*.

        Raises:
            InvalidToken: ``signature_invalid``.
        """
        try:
            self._check(signature, message, *self._arguments)
        except self._invalid_signature:
            raise InvalidToken(Reason.SIGNATURE_INVALID, "the token's signature is not the issuer's") from None


class KeySource(Protocol):
    """Where a verifier finds keys. `KeySet` has them at hand; sources that fetch do so in `find_async` too."""

    def find(self, kid: str | None, algorithm: str, /) -> VerificationKey:
        """The key named *kid*, for *algorithm*; raises InvalidToken, or Unavailable when there is no knowing."""
        ...

    async def find_async(self, kid: str | None, algorithm: str, /) -> VerificationKey:
        """The same for asyncio, where nothing may block."""
        ...


class KeySet:
    """The public keys of one issuer, fixed. Never share one between issuers (RFC 8725 §3.8)."""

    def __init__(self, keys: Mapping[tuple[str | None, str], VerificationKey]) -> None:
        """Not public: use `from_jwks`."""
        self._keys = dict(keys)
        self._kids = frozenset(kid for kid, _ in keys)

    @classmethod
    def from_jwks(cls, jwks: Mapping[str, Any]) -> KeySet:
        """From a JWK Set (RFC 7517 §5), such as `TokenIssuer.jwks` returns.

        Keys that are not for signatures (``use``, ``key_ops``), or of a type that is not known here, are left out.
        A key with ``alg`` serves that algorithm alone; one without, every algorithm of its type and curve.

        Raises:
            ConfigurationError: if no key is left, if one is unsafe, private or broken, or if two cannot be told apart.
        """
        members = jwks.get("keys") if isinstance(jwks, Mapping) else None
        if not isinstance(members, (list, tuple)):
            raise ConfigurationError('a JWK Set is needed: {"keys": [...]} (RFC 7517 §5)')
        found: dict[tuple[str | None, str], VerificationKey] = {}
        for jwk in members:
            for key in _import_jwk(jwk):
                if (key.kid, key.algorithm) in found:
                    raise ConfigurationError(f"the JWK Set has two keys for {key.algorithm} with the same kid")
                found[key.kid, key.algorithm] = key
        if not found:
            raise ConfigurationError(f"the JWK Set has no key for any of {', '.join(ALGORITHMS)}")
        # A token without kid can be verified if only one key comes into question.
        for name in ALGORITHMS:
            fitting = [key for (_, algorithm), key in found.items() if algorithm == name]
            if len(fitting) == 1:
                found[None, name] = fitting[0]
        return cls(found)

    def find(self, kid: str | None, algorithm: str) -> VerificationKey:
        """The key named *kid*, for *algorithm*.

        Raises:
            InvalidToken: ``key_unknown``, or ``algorithm_refused`` if there is such a key, but for another algorithm.
        """
        key = self._keys.get((kid, algorithm))
        if key is not None:
            return key
        if kid is not None and kid in self._kids:
            raise InvalidToken(
                Reason.ALGORITHM_REFUSED, "the token's key is for another algorithm than its header says"
            )
        raise InvalidToken(Reason.KEY_UNKNOWN, "the issuer's key set has no key of the token's kid")

    async def find_async(self, kid: str | None, algorithm: str) -> VerificationKey:
        """The same, at once: nothing is fetched."""
        return self.find(kid, algorithm)


def _encoded(text: str | bytes) -> bytes:
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text


def jwk_thumbprint(jwk: Mapping[str, str]) -> str:
    """The RFC 7638 thumbprint of a public JWK, base64url."""
    required = {name: jwk[name] for name in ("crv", "e", "kty", "n", "x", "y") if name in jwk}
    return base64url(sha256(json.dumps(required, sort_keys=True, separators=(",", ":")).encode()).digest()).decode()


def _export_jwk(public_key: Any, algorithm: str) -> dict[str, str]:
    import jwt

    jwk = jwt.get_algorithm_by_name("EdDSA" if algorithm == "Ed25519" else algorithm).to_jwk(public_key, as_dict=True)
    return {name: jwk[name] for name in ("kty", "crv", "n", "e", "x", "y") if name in jwk}


def _import_jwk(jwk: Any) -> list[VerificationKey]:
    """The keys, one an algorithm, that a member of a JWK Set stands for; none if it is not meant for us."""
    import jwt

    what = "a key of the JWK Set"
    if not isinstance(jwk, Mapping):
        raise ConfigurationError(f"{what} is not a JSON object")
    kid, alg, use, operations = jwk.get("kid"), jwk.get("alg"), jwk.get("use"), jwk.get("key_ops")
    names = algorithms_of(jwk.get("kty"), jwk.get("crv"))
    if alg is not None and not (alg in names and jwk.get("kty") == "OKP"):  # Ed25519 has one algorithm of two names
        names = [name for name in names if name == alg]
    if operations is not None and not (isinstance(operations, (list, tuple)) and "verify" in operations):
        names = []
    if not names or use not in (None, "sig"):
        return []
    if kid is not None and type(kid) is not str:
        raise ConfigurationError(f"{what} has a kid that is not a string")
    if not _PRIVATE_MEMBERS.isdisjoint(jwk):
        raise ConfigurationError(f"{what} is private; publish public keys only, and replace this one: it has leaked")
    try:
        key = jwt.get_algorithm_by_name("EdDSA" if "EdDSA" in names else names[0]).from_jwk(dict(jwk))
    except Exception:  # noqa: BLE001 - PyJWT has let KeyError, TypeError and others through
        raise ConfigurationError(f"{what} is broken: it does not parse as a JWK (RFC 7517)") from None
    require_sound_key(key, what)
    return [VerificationKey(key, name, kid) for name in names]
