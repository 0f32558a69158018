"""What Keycloak, Microsoft Entra ID and issuers of RFC 9068's form sign: claims and headers as they document them.

``iat`` and ``exp`` are added when a token is signed, and so is a ``cnf`` that names the client's certificate: to every
token, the ID and refresh tokens too, which is the worst case. ``...`` takes a member away, and stands for the
thumbprint in a ``cnf``. Names and ids are invented; whatever else is, says so.
"""

from typing import Any, NamedTuple

from tokenbind import AccessTokenProfile, Reason


#: The order of `Issued.verdicts`.
PROFILES = (
    AccessTokenProfile.KEYCLOAK,
    AccessTokenProfile.ENTRA_ID,
    AccessTokenProfile.ENTRA_ID_V1,
    AccessTokenProfile.RFC9068,
)
OK = None
TYPE, MISSING, MALFORMED = Reason.TOKEN_TYPE_REFUSED, Reason.CLAIM_MISSING, Reason.CLAIM_MALFORMED
HMAC, JKT = Reason.ALGORITHM_REFUSED, Reason.CONFIRMATION_UNSUPPORTED


class Issued(NamedTuple):
    """One token.

    `verdicts` are those under each of `PROFILES`, and `seen` is what is read from an access token: subject, client,
    token id, scopes, audience. `algorithm` is RS256, or HS512, which Keycloak signs refresh tokens with.
    """

    name: str
    claims: dict[str, Any]
    verdicts: tuple[Reason | None, ...]
    seen: tuple[Any, ...] | None = None
    typ: Any = "JWT"
    algorithm: str = "RS256"


API, CLIENT = "https://api.example", "web-shop"
REALM = "https://keycloak.example/realms/shop"
ALICE = "a1b0c52e-2a0c-4c0e-9d0e-3f4f1f3b5a01"

_user = {
    "jti": "onrtac:9a4a4a2e-7a36-4e0b-8d4f-0d5b7e1f6a11",
    "iss": REALM,
    "aud": [API, "account"],
    "sub": ALICE,
    "typ": "Bearer",
    "azp": CLIENT,
    "sid": "c7b4a9f0-58a1-4d0e-a2c3-6c1f0e9d8b72",
    "acr": "1",
    "allowed-origins": ["https://shop.example"],
    "realm_access": {"roles": ["default-roles-shop", "offline_access", "uma_authorization"]},
    "resource_access": {"account": {"roles": ["manage-account", "view-profile"]}},
    "scope": "openid profile invoices:read",
    "email_verified": True,
    "name": "Alice Example",
    "preferred_username": "alice",
}
_service = _user | {
    "jti": "trrtcc:2d9c0b7e-1f55-49a6-a0b9-5c7c8f1d2e33",
    "sub": "5e0f8d7c-0b1a-4f7e-8a3d-92c4b6d1e055",
    "azp": "billing",
    "sid": ...,
    "scope": "invoices:read",
    "clientHost": "192.0.2.7",
    "clientAddress": "192.0.2.7",
    "client_id": "billing",
    "preferred_username": "service-account-billing",
}
_lightweight = {name: _user[name] for name in ("jti", "iss", "aud", "typ", "azp", "sid", "scope")}
_id = {name: _user[name] for name in ("iss", "sub", "azp", "sid", "acr", "email_verified", "preferred_username")} | {
    "jti": "5c1f7f6b-0d9f-4e31-8f3d-6a9c2f1b7d44",
    "aud": CLIENT,
    "typ": "ID",
    "auth_time": 1_700_000_000,
    "at_hash": "JrZY9MtYVEIIJUx-DDBmww",
    "nonce": "n-0S6_WzA2Mj",
}
_refresh = {name: _user[name] for name in ("iss", "sub", "azp", "sid", "scope")} | {
    "jti": "8f0d7b1e-3a52-4a7c-b2a9-4f6e0c1d9b55",
    "aud": REALM,
    "typ": "Refresh",
}
_logout = {name: _user[name] for name in ("iss", "sub", "sid")} | {
    "jti": "e4d3c2b1-6f5e-4d7c-8b9a-0f1e2d3c4b66",
    "aud": CLIENT,
    "typ": "Logout",
    "events": {
        "http://schemas.openid.net/event/backchannel-logout": {},
        "revoke_offline_access": True,
    },
}
_seen = (ALICE, CLIENT, _user["jti"], {"openid", "profile", "invoices:read"}, (API, "account"))
_seen_service = (_service["sub"], "billing", _service["jti"], {"invoices:read"}, (API, "account"))
_keycloak = (OK, MISSING, MISSING, TYPE)
_keycloak_other = (TYPE, MISSING, MISSING, TYPE)
_nothing_of_theirs = (MISSING, MISSING, MISSING, TYPE)

# Front-channel logout has no token of its own.
KEYCLOAK = [
    Issued("user", _user, _keycloak, _seen),
    # By an option of the client. It is RFC 9068's typ alone: a user's token still lacks client_id.
    Issued("user, at+jwt", _user, (OK, TYPE, TYPE, MISSING), _seen, "at+jwt"),
    Issued("user, nonce by a mapper", _user | {"nonce": "n-0S6_WzA2Mj"}, _keycloak, _seen),
    Issued("user, an old release", _user | {"nbf": 0, "auth_time": 0, "session_state": "c7b4"}, _keycloak, _seen),
    Issued("service account", _service, _keycloak, _seen_service),
    # What a service account gets has everything that RFC 9068 asks for, so both profiles are right.
    Issued("service account, at+jwt", _service, (OK, TYPE, TYPE, OK), _seen_service, "at+jwt"),
    Issued("lightweight", _lightweight, _keycloak, (None, *_seen[1:])),
    Issued(
        "exchanged for another audience",
        _user | {"jti": "ntrtte:0c", "azp": "orders", "aud": API},
        _keycloak,
        (ALICE, "orders", "ntrtte:0c", _seen[3], (API,)),
    ),
    Issued(
        "requesting party token (UMA)",
        _user | {"aud": API, "authorization": {"permissions": [{"rsid": "d2", "rsname": "Invoices"}]}},
        _keycloak,
        (*_seen[:4], (API,)),
    ),
    Issued("kc-jkt-type beside x5t#S256", _user | {"cnf": {"x5t#S256": ..., "kc-jkt-type": "DPoP"}}, _keycloak, _seen),
    Issued("jkt beside x5t#S256", _user | {"cnf": {"x5t#S256": ..., "jkt": "A" * 43}}, (JKT, *_keycloak[1:])),
    Issued("DPoP", _user | {"typ": "DPoP", "cnf": {"jkt": "A" * 43, "kc-jkt-type": "DPoP"}}, _keycloak_other),
    Issued("DPoP, x5t#S256 too", _user | {"typ": "DPoP"}, _keycloak_other),
    Issued("without audience", _user | {"aud": ...}, _nothing_of_theirs),
    Issued("ID", _id, _keycloak_other),
    Issued("ID, aud is the API", _id | {"aud": API}, _keycloak_other),
    Issued("refresh", _refresh, (HMAC, HMAC, HMAC, TYPE), algorithm="HS512"),
    Issued("refresh, the realm's RS256 key", _refresh, _keycloak_other),
    Issued("offline", _refresh | {"typ": "Offline", "exp": ...}, _nothing_of_theirs),
    Issued("offline, with an end", _refresh | {"typ": "Offline"}, _keycloak_other),
    Issued("back-channel logout", _logout, (TYPE, TYPE, TYPE, TYPE), typ="logout+jwt"),
    Issued("back-channel logout, an old release", _logout, _nothing_of_theirs),
    Issued("back-channel logout, azp invented", _logout | {"azp": CLIENT}, _keycloak_other),
    Issued("UserInfo response", {"iss": REALM, "aud": CLIENT, "sub": ALICE, "exp": ...}, _nothing_of_theirs),
]

_TENANT, _APP, _OID = "9188040d-0000-4c5b-b112-36a304b66dad", "6e74172b-be56-4843-9ff4-e66a39bb12e3", "690222be-ff1a"
_V2, _V1 = f"https://login.microsoftonline.com/{_TENANT}/v2.0", f"https://sts.windows.net/{_TENANT}/"
_entra = {"aud": API, "aio": "AXQAi/8IAAAA", "oid": _OID, "rh": "1.AUEB9y.", "tid": _TENANT, "uti": "fqiBqXLPj0eQaA"}
_delegated = {"scp": "Invoices.Read Invoices.Write", "sub": "HKZpfaHyWadeOouY", "name": "Alice Example"}
_app_only = {"sub": _OID, "idtyp": "app", "roles": ["Invoices.Read.All"]}
_v2 = _entra | {"iss": _V2, "ver": "2.0", "azp": _APP, "azpacr": "2", "xms_ftd": "VE8szyfC"}
_v1 = _entra | {"iss": _V1, "ver": "1.0", "appid": _APP, "appidacr": "2", "idp": _V1, "xms_idrel": "7 16"}
_person = {"acr": "1", "amr": ["pwd"], "ipaddr": "192.0.2.7", "unique_name": "alice@example", "upn": "alice@example"}
_mtls_pop = {"xms_tbflags": 2, "app_displayname": "billing"}
_id_v2 = _entra | {"aud": _APP, "iss": _V2, "ver": "2.0", "sub": "HKZ", "preferred_username": "alice@example"}
_id_v1 = _entra | {"aud": _APP, "iss": _V1, "ver": "1.0", "sub": "HKZ", "unique_name": "alice@example", "nonce": "12"}
_hashes = {"nonce": "123523", "c_hash": "LDktKdoQak3Pk0cnXxCltA", "at_hash": "77QmUPtjPfzWtF2AnpK9RQ"}
_seen_delegated = ("HKZpfaHyWadeOouY", _APP, "fqiBqXLPj0eQaA", {"Invoices.Read", "Invoices.Write"}, (API,))
_seen_app = (_OID, _APP, "fqiBqXLPj0eQaA", set(), (API,))
_entra_v2, _entra_v1 = (MISSING, OK, MISSING, TYPE), (MISSING, MISSING, OK, TYPE)

# Refresh tokens are opaque, and there is front-channel logout alone, without a token.
ENTRA_ID = [
    Issued("v2.0, delegated", _v2 | _delegated, _entra_v2, _seen_delegated),
    Issued("v2.0, delegated, roles too", _v2 | _delegated | {"roles": ["Admin"]}, _entra_v2, _seen_delegated),
    Issued("v2.0, application", _v2 | _app_only, _entra_v2, _seen_app),
    Issued("v2.0, application without roles", _v2 | _app_only | {"roles": ...}, _entra_v2, _seen_app),
    Issued("v1.0, delegated", _v1 | _delegated | _person, _entra_v1, _seen_delegated),
    Issued("v1.0, application", _v1 | _app_only, _entra_v1, _seen_app),
    Issued("v1.0, mtls_pop", _v1 | _app_only | _mtls_pop, _entra_v1, _seen_app),
    Issued("v2.0, mtls_pop, its ver invented", _v2 | _app_only | _mtls_pop, _entra_v2, _seen_app),
    Issued("ID v2.0", _id_v2, _nothing_of_theirs),
    Issued("ID v2.0, hybrid flow", _id_v2 | _hashes, _nothing_of_theirs),
    Issued("ID v2.0, the API is the client", _id_v2 | _hashes | {"aud": API}, _nothing_of_theirs),
    Issued("ID v1.0", _id_v1, _nothing_of_theirs),
    # No document says that an ID token can have these claims.
    Issued("ID v2.0, azp invented", _v2 | _id_v2 | _hashes, (MISSING, TYPE, MISSING, TYPE)),
    Issued("ID v1.0, appid invented", _v1 | _id_v1, (MISSING, MISSING, TYPE, TYPE)),
    Issued("ver of the other version, v2.0", _v2 | _delegated | {"ver": "1.0"}, (MISSING, TYPE, MISSING, TYPE)),
    Issued("ver of the other version, v1.0", _v1 | _app_only | {"ver": "2.0"}, (MISSING, MISSING, TYPE, TYPE)),
    Issued("logout, as OpenID Connect has it", _logout | {"iss": _V2}, (TYPE, TYPE, TYPE, TYPE), typ="logout+jwt"),
]

_OTHER = "https://as.example"
_rfc9068 = {"iss": _OTHER, "aud": API, "sub": "88421113", "client_id": CLIENT, "jti": "7CC98784B028", "scope": "a b"}
_identityserver = _rfc9068 | {"auth_time": 1_700_000_000, "idp": "local", "sid": "3CD31E0C", "amr": ["pwd"]}
_openid = {"iss": _OTHER, "aud": CLIENT, "sub": "88421113", "nonce": "n-0S6", "at_hash": "JrZY9Mt", "sid": "3CD31E0C"}
_auth0 = {"iss": _OTHER, "aud": [API, f"{_OTHER}/userinfo"], "sub": "auth0|123456", "scope": "openid a"}
_seen_rfc9068 = ("88421113", CLIENT, "7CC98784B028", {"a", "b"}, (API,))
_rfc = (MISSING, TYPE, TYPE, OK)

RFC9068 = [
    Issued("authlib", _rfc9068, _rfc, _seen_rfc9068, "at+jwt"),
    Issued("IdentityServer", _identityserver, _rfc, _seen_rfc9068, "at+jwt"),
    Issued(
        "IdentityServer, scopes as a list",
        _identityserver | {"scope": ["a", "b"]},
        (*_rfc[:3], MALFORMED),
        typ="at+jwt",
    ),
    Issued("IdentityServer, client credentials", _rfc9068 | {"sub": ...}, (*_rfc[:3], MISSING), typ="at+jwt"),
    Issued(
        "Auth0, RFC 9068 profile",
        _auth0 | {"client_id": CLIENT, "jti": "73WakrfV"},
        _rfc,
        ("auth0|123456", CLIENT, "73WakrfV", {"openid", "a"}, (API, f"{_OTHER}/userinfo")),
        "at+jwt",
    ),
    Issued("Auth0, its own profile", _auth0 | {"azp": CLIENT}, _nothing_of_theirs),
    Issued("ID", _openid, _nothing_of_theirs),
    Issued("ID, everything but typ invented", _openid | _rfc9068 | {"azp": CLIENT}, _keycloak_other),
    Issued("logout", _openid | {"events": _logout["events"], "nonce": ...}, (TYPE, TYPE, TYPE, TYPE), typ="logout+jwt"),
]
