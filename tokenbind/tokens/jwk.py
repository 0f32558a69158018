"""JSON Web Keys (RFC 7517) in and out; PyJWT reads and writes them."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
import json
from typing import Any

from ..errors import ConfigurationError
from .algorithms import algorithms_of, require_sound_key
from .compact import base64url


__all__ = ["export_jwk", "import_jwk", "jwk_thumbprint"]

_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_MAX_MEMBER_CHARACTERS = 2048  # of a number: RSA of 8192 bits has 1366; what is longer is not even decoded


def jwk_thumbprint(jwk: Mapping[str, Any]) -> str:
    """The RFC 7638 thumbprint of a public JWK, base64url."""
    required = {name: jwk[name] for name in ("crv", "e", "kty", "n", "x", "y") if name in jwk}
    return base64url(sha256(json.dumps(required, sort_keys=True, separators=(",", ":")).encode()).digest()).decode()


def export_jwk(public_key: Any, algorithm: str) -> dict[str, str]:
    """The members of a public JWK that are the key itself."""
    import jwt

    jwk = jwt.get_algorithm_by_name("EdDSA" if algorithm == "Ed25519" else algorithm).to_jwk(public_key, as_dict=True)
    return {name: jwk[name] for name in ("kty", "crv", "n", "e", "x", "y") if name in jwk}


def import_jwk(jwk: Any) -> tuple[Any, list[str]]:
    """The public key of a member of a JWK Set, and the algorithms it serves; none if it is not meant for us.

    Raises:
        ConfigurationError: if it is unsafe, private or broken.
    """
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
        return None, []
    if kid is not None and type(kid) is not str:
        raise ConfigurationError(f"{what} has a kid that is not a string")
    if not _PRIVATE_MEMBERS.isdisjoint(jwk):
        raise ConfigurationError(f"{what} is private; publish public keys only, and replace this one: it has leaked")
    numbers = [jwk[name] for name in ("n", "e", "x", "y") if name in jwk]
    if not all(isinstance(number, str) and len(number) <= _MAX_MEMBER_CHARACTERS for number in numbers):
        raise ConfigurationError(f"{what} is broken: it has a number that is too long, or no text (RFC 7518 §6)")
    try:
        key = jwt.get_algorithm_by_name("EdDSA" if "EdDSA" in names else names[0]).from_jwk(dict(jwk))
    except Exception:  # noqa: BLE001 - PyJWT has let KeyError, TypeError and others through
        raise ConfigurationError(f"{what} is broken: it does not parse as a JWK (RFC 7517)") from None
    require_sound_key(key, what)
    return key, names
