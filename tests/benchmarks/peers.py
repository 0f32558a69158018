"""What services write today with other libraries. None of them knows ``cnf``: the check by hand is added to each."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest
from importlib.util import find_spec
from typing import Any
import warnings

from floors import Verify
import jwt
from measure import Timed
from workload import Workload


__all__ = ["peer_cases", "verify_by_hand"]


def peer_cases(workload: Workload) -> dict[str, Timed]:
    """Of each peer that is installed."""
    name = workload.algorithm
    public_key = workload.private_key.public_key()
    peers: dict[str, Callable[..., Verify]] = {"jwt.decode": verify_by_hand, "PyJWKClient": _verify_by_client}
    if find_spec("joserfc"):
        peers["joserfc"] = _verify_by_joserfc
    keys: dict[str, Any] = {"jwt.decode": public_key}
    issuer, audience, jwks = workload.kit.issuer.issuer, workload.kit.audience, workload.kit.issuer.jwks()
    return {
        f"{peer} {name}": workload.case(make(name, keys.get(peer, jwks), issuer, audience), workload.der)
        for peer, make in peers.items()
    }


def verify_by_hand(algorithm: str, public_key: Any, issuer: str, audience: str) -> Verify:
    """PyJWT's `decode` with the key at hand, and RFC 8705 §3 in two lines."""
    algorithms = [algorithm]

    def verify(token: bytes, der: bytes) -> object:
        claims = jwt.decode(token, public_key, algorithms=algorithms, issuer=issuer, audience=audience)
        return _require_binding(claims, der)

    return verify


def _verify_by_client(algorithm: str, jwks: dict[str, Any], issuer: str, audience: str) -> Verify:
    """The same, with the key looked up as PyJWT's documentation has it. The set is cached: nothing is fetched."""
    algorithms = [algorithm]
    client = jwt.PyJWKClient("https://login.example.com/jwks", lifespan=86_400)
    assert client.jwk_set_cache
    client.jwk_set_cache.put(jwt.PyJWKSet.from_dict(jwks))

    def verify(token: bytes, der: bytes) -> object:
        key = client.get_signing_key_from_jwt(token)
        return _require_binding(jwt.decode(token, key, algorithms=algorithms, issuer=issuer, audience=audience), der)

    return verify


def _verify_by_joserfc(algorithm: str, jwks: dict[str, Any], issuer: str, audience: str) -> Verify:
    """joserfc with the key imported beforehand, and its own check of the same claims."""
    from joserfc import jwk, jwt as joserfc_jwt

    warnings.filterwarnings("ignore", "EdDSA is deprecated")  # RFC 9864; said once, and not at every call
    algorithms = [algorithm]
    key = jwk.import_key(jwks["keys"][0])
    claims_registry = joserfc_jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": issuer}, aud={"essential": True, "value": audience}, exp={"essential": True}
    )

    def verify(token: bytes, der: bytes) -> object:
        claims = joserfc_jwt.decode(token, key, algorithms=algorithms).claims
        claims_registry.validate(claims)
        return _require_binding(claims, der)

    return verify


def _require_binding(claims: dict[str, Any], der: bytes) -> dict[str, Any]:
    thumbprint = urlsafe_b64encode(sha256(der).digest()).rstrip(b"=").decode()
    if not compare_digest(claims["cnf"]["x5t#S256"], thumbprint):
        raise ValueError("another certificate")
    return claims
