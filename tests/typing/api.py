"""The types of the public API, as its users see them. Never executed: mypy and pyright check it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
import ssl
from typing import Annotated, Any, assert_type

from aiohttp import web
from cryptography.x509 import Certificate
from fastapi import Depends, FastAPI, Security
from flask import Flask

import tokenbind
from tokenbind import (
    AccessTokenProfile,
    BindingPolicy,
    BoundToken,
    ConfigurationError,
    GrantError,
    InsufficientScope,
    InvalidRequest,
    InvalidToken,
    KeySet,
    PeerCertificate,
    Reason,
    SigningKey,
    TokenBindError,
    TokenIssuer,
    TokenVerifier,
    TokenVerifiers,
    Unavailable,
    Verifier,
)
from tokenbind.binding import Confirmation, VerifiedBinding, parse_thumbprint, verify_binding
from tokenbind.client import (
    CallbackIdentity,
    ClientCredentials,
    ClientSecretBasic,
    FileIdentity,
    Grant,
    IdentitySource,
    MemoryIdentity,
    PKCS12Identity,
    PrivateKeyJWT,
    RefreshToken,
    StaticToken,
    TokenCache,
    TokenExchange,
)
from tokenbind.client.aiohttp import BoundTokenSession as AiohttpSession
from tokenbind.client.httpx import AsyncBoundTokenClient, BoundTokenClient
from tokenbind.client.requests import BoundTokenAdapter, BoundTokenSession
from tokenbind.monitoring import Accepted, Event, Monitor, Refused, TokenNotFetched
from tokenbind.peer import PeerSource, TLSConnection, Trust, forwarded
from tokenbind.resource_server import ResourceServer
from tokenbind.resource_server.aiohttp import bound_token as bound_token_of_aiohttp, install as install_in_aiohttp
from tokenbind.resource_server.asgi import BoundTokenMiddleware as ASGIMiddleware
from tokenbind.resource_server.django import (
    BoundTokenMiddleware as DjangoMiddleware,
    bound_token as bound_token_of_django,
    install as install_in_django,
    require_scope as require_scope_in_django,
)
from tokenbind.resource_server.fastapi import bound_token, install as install_in_fastapi
from tokenbind.resource_server.flask import (
    bound_token as bound_token_of_flask,
    install as install_in_flask,
    require_scope as require_scope_in_flask,
)
from tokenbind.resource_server.grpc import (
    AsyncBoundTokenInterceptor,
    BoundTokenInterceptor,
    bound_token as bound_token_of_grpc,
)
from tokenbind.resource_server.rest_framework import BoundTokenAuthentication, TokenUser, require_scope
from tokenbind.resource_server.wsgi import BoundTokenMiddleware as WSGIMiddleware
from tokenbind.revocation import MemoryRevocation, RevocableToken, Revocation
from tokenbind.tokens import KeySource, Signer, jws_signature
from tokenbind.tokens.remote_keys import RemoteKeySet


UNTIL = datetime(2030, 1, 1, tzinfo=timezone.utc)


def the_core(der: bytes, pem: str, claims: dict[str, Any]) -> None:
    assert_type(tokenbind.thumbprint(der), str)
    assert_type(tokenbind.thumbprint(pem), str)
    assert_type(parse_thumbprint(pem), str)

    peer = PeerCertificate.from_der(der)
    assert_type(peer, PeerCertificate)
    assert_type(PeerCertificate.from_pem(pem), PeerCertificate)
    assert_type(PeerCertificate.from_thumbprint(pem), PeerCertificate)
    assert_type(peer.thumbprint, str)
    assert_type(peer.der, bytes | None)
    assert_type(peer.chain, tuple[bytes, ...])
    assert_type(peer.source, str)
    assert_type(peer.chain_verified, bool | None)
    assert_type(peer.not_after, datetime)
    assert_type(peer.x509, Certificate)

    confirmation = Confirmation.from_claims(claims)
    assert_type(confirmation, Confirmation | None)
    assert_type(Confirmation.of(peer).to_cnf(), dict[str, str])
    verdict = verify_binding(confirmation, peer, BindingPolicy.REQUIRED, 0)
    assert_type(verdict, VerifiedBinding)
    assert_type(verdict.thumbprint, str | None)
    assert_type(verdict.refusal, Reason | None)

    assert_type(BindingPolicy.WHEN_PRESENT, BindingPolicy)
    assert_type(BindingPolicy.unsafe_report_only(until=UNTIL), BindingPolicy)


def minting(peer: PeerCertificate | None, pem: bytes, signer: Signer) -> None:
    assert_type(SigningKey.generate("ES256"), SigningKey)
    key = SigningKey.from_pem(pem, password="secret", kid="k1", algorithm="ES256")
    assert_type(key, SigningKey)
    assert_type(key.sign, Callable[[bytes], bytes])
    assert_type(key.public_jwk, dict[str, str])
    assert_type(key.to_pem(b"secret"), bytes)

    TokenIssuer("https://as.example", signer)
    issuer = TokenIssuer("https://as.example", key, clock=lambda: 0.0)
    token = issuer.mint(
        peer,
        client_id="billing",
        subject="billing",
        audience=["https://api.example"],
        scope={"invoices:read"},
        lifetime=300,
        claims={"tenant": "t1"},
        unsafe_not_after=UNTIL,
    )
    assert_type(token, str)
    assert_type(issuer.token_response(peer, client_id="billing", audience="https://api.example"), dict[str, Any])
    assert_type(issuer.jwks(), dict[str, list[dict[str, str]]])
    KeySet.from_jwks(issuer.jwks())


def verifying(
    token: str, peer: PeerCertificate | None, jwks: dict[str, Any], monitor: Monitor, keys: KeySource
) -> None:
    verifier = TokenVerifier(
        issuer="https://as.example",
        audience={"https://api.example"},
        keys=KeySet.from_jwks(jwks),
        algorithms=("ES256", "PS256", "EdDSA"),
        profile=AccessTokenProfile.RFC9068,
        binding=BindingPolicy.REQUIRED,
        cache_size=1024,
        revocation=MemoryRevocation(),
        monitor=monitor,
        clock=lambda: 0,
        max_lifetime_seconds=86_400,
        not_before_leeway_seconds=10,
        expiry_leeway_seconds=0,
    )
    assert_type(verifier.verify(token, peer), BoundToken)
    assert_type(verifier.verify(token.encode(), None), BoundToken)
    assert_type(verifier.with_binding(BindingPolicy.WHEN_PRESENT), TokenVerifier)
    assert_type(verifier.monitor, Monitor | None)


def trusting_issuers(peer: PeerCertificate, jwk: dict[str, str], signer: Signer) -> None:
    with TokenVerifier.from_issuer(
        "https://as.example",
        audience="https://api.example",
        ca="ca.pem",
        address="https://as.internal:8443",
        allowed_hosts=["keys.example"],
        proxy="http://proxy.example:3128",
        refresh_seconds=300,
        max_stale_seconds=3600,
        cooldown_seconds=5,
        timeout_seconds=4,
        profile=AccessTokenProfile.KEYCLOAK,
        algorithms=None,
        cache_key="token",
    ) as verifier:
        assert_type(verifier, TokenVerifier)
    with KeySet.from_url("https://as.example/jwks", ca=b"") as keys:
        assert_type(keys, RemoteKeySet)
    both = TokenVerifiers([verifier, verifier.with_binding(BindingPolicy.WHEN_PRESENT)])
    assert_type(both.verify("token", peer), BoundToken)
    assert_type(both.describe(), dict[str, Any])
    for one in (verifier, both):
        of_either: Verifier = one
        assert_type(of_either.schemes, frozenset[str])
    profile = AccessTokenProfile(
        name="other", types={"jwt"}, required_claims={"sub"}, claim_values={"token_use": "access"}
    )
    assert_type(profile.describe(), dict[str, Any])
    issuer = TokenIssuer("https://as.example", signer, previous_keys=[signer, jwk], next_keys=[jwk])
    assert_type(issuer, TokenIssuer)
    assert_type(jws_signature(b"", "ES256"), bytes)


async def verifying_in_asyncio(verifier: Verifier, keys: KeySource, token: str, peer: PeerCertificate) -> None:
    assert_type(await verifier.verify_async(token, peer), BoundToken)
    assert_type(keys.current(), KeySet)
    assert_type(keys.refetch(None), bool)
    assert_type(await keys.refetch_async(None), bool)


def bound_tokens(bound: BoundToken) -> None:
    assert_type(bound.subject, str | None)
    assert_type(bound.client_id, str | None)
    assert_type(bound.token_id, str | None)
    assert_type(bound.issuer, str)
    assert_type(bound.scopes, frozenset[str])
    assert_type(bound.audience, tuple[str, ...])
    assert_type(bound.issued_at, datetime)
    assert_type(bound.expires_at, datetime)
    assert_type(bound.claims, dict[str, Any])
    assert_type(bound.thumbprint, str | None)
    assert_type(bound.binding_refusal, Reason | None)
    bound.require_scope("invoices:read", "invoices:write")


def errors(verifier: Verifier, token: str) -> None:
    try:
        verifier.verify(token, None)
    except InvalidToken as error:
        assert_type(error.reason, Reason)
        assert_type(error.status, int)
        assert_type(error.error_code, str | None)
        assert_type(error.expected, str | None)
        assert_type(error.presented, str | None)
        assert_type(error.reference, str)
    except InsufficientScope as error:
        assert_type(error.required, tuple[str, ...])
    except (InvalidRequest, Unavailable) as error:
        assert_type(error.reason, Reason)
        assert_type(error.error_code, str | None)
    except GrantError as error:
        assert_type(error.error, str)
        assert_type(error.description, str | None)
    except (ConfigurationError, TokenBindError) as error:
        assert_type(error.reference, str)


def behind_a_proxy(scope: dict[str, Any], environ: dict[str, Any], headers: list[tuple[bytes, bytes]]) -> None:
    for trust in (
        Trust.addresses("10.0.0.1", "10.1.0.0/16"),
        Trust.unix_socket(Path("/run/api.sock")),
        Trust.peer_certificates("A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0", names=["proxy.internal"]),
        Trust.secret_header("X-Proxy-Secret", file="secret") & Trust.unix_socket("/run/api.sock"),
        Trust.unsafe_anyone(),
    ):
        assert_type(trust, Trust)
        source = forwarded.nginx(header="X-Cert", trusted_proxy=trust, hosts=["api.example"], verify_header="X-Verify")
        assert_type(source, forwarded.ForwardedSource)
        of_either: PeerSource = source
        assert_type(of_either.from_scope(scope), PeerCertificate | None)
        assert_type(source.from_environ(environ), PeerCertificate | None)
        assert_type(source.from_request(headers, socket_peer=("10.0.0.1", 1), tls_peer=None), PeerCertificate | None)
        source.from_request(headers, socket_peer="", socket_name="/run/api.sock")
        assert_type(source.needs, frozenset[str])
        assert_type(source.absence, str)
        assert_type(source.unsafe_parse(headers), PeerCertificate | None)
        assert_type(source.hidden_headers, frozenset[bytes])
        forwarded.rfc9440(trusted_proxy=trust, chain_header=None)
        forwarded.envoy(trusted_proxy=trust, hops=2)
        forwarded.aws_alb(trusted_proxy=trust, hosts={"api.example"}, passthrough=True)
    of_lambda: PeerSource = forwarded.aws_api_gateway()
    assert_type(of_lambda.from_scope(scope), PeerCertificate | None)
    assert_type(forwarded.aws_api_gateway().from_event(scope), PeerCertificate | None)


class AMonitor:
    """A monitor, as a user writes one."""

    def record(self, event: Event, /) -> None:
        match event:
            case Accepted():
                assert_type(event.binding_refusal, Reason | None)
            case Refused():
                assert_type(event.reason, Reason)
            case TokenNotFetched():
                assert_type(event.retry_in_seconds, float)
            case _:
                pass


class ARevocation:
    """A revocation source, as a user writes one."""

    def check(self, token: RevocableToken, presented: str | None, /) -> None:
        assert_type(token.issued_at, float)


def protocols() -> tuple[Monitor, Revocation, Revocation, KeySource, Signer, PeerSource, Verifier]:
    keys = KeySet.from_jwks({})
    verifier = TokenVerifier(issuer="https://as.example", audience="https://api.example", keys=keys)
    return AMonitor(), ARevocation(), MemoryRevocation(), keys, SigningKey.generate(), TLSConnection(), verifier


def protecting(asgi_app: Any, wsgi_app: Any, verifier: Verifier, connection: ssl.SSLSocket) -> None:
    ASGIMiddleware(asgi_app, verifier, peer_source=TLSConnection(), required_scopes=["a"], exempt={("GET", "/health")})
    WSGIMiddleware(wsgi_app, verifier, peer_source=TLSConnection.cheroot())
    ResourceServer(verifier, TLSConnection())
    assert_type(TLSConnection().from_request([(b"a", b"b")], tls_peer=connection), PeerCertificate | None)
    assert_type(TLSConnection().from_scope({}), PeerCertificate | None)
    assert_type(TLSConnection().from_environ({}), PeerCertificate | None)


def with_fastapi(app: FastAPI, verifier: Verifier) -> None:
    install_in_fastapi(app, verifier, TLSConnection(), end_responses=True, exempt={("GET", "/health")}, realm="api")

    @app.get("/default")
    def default(token: BoundToken = Depends(bound_token("invoices:read"))) -> None:  # noqa: B008 - as FastAPI has it
        assert_type(token, BoundToken)

    @app.get("/annotated")
    async def annotated(token: Annotated[BoundToken, Depends(bound_token())]) -> None:
        assert_type(token, BoundToken)

    @app.get("/security")
    def security(token: Annotated[BoundToken, Security(bound_token(), scopes=["invoices:read"])]) -> None:
        assert_type(token.scopes, frozenset[str])


def with_aiohttp(app: web.Application, request: web.Request, verifier: Verifier) -> None:
    install_in_aiohttp(app, verifier, TLSConnection(), end_responses=True, exempt={("GET", "/health")}, realm="api")
    assert_type(bound_token_of_aiohttp(request), BoundToken)


def with_grpc(context: Any, verifier: Verifier) -> None:
    BoundTokenInterceptor(verifier, TLSConnection(), end_streams=True, exempt={("POST", "/health.Health/Check")})
    AsyncBoundTokenInterceptor(verifier, TLSConnection(), end_streams=True, required_scopes=["api"])
    assert_type(bound_token_of_grpc(context), BoundToken)


def with_flask(app: Flask, verifier: Verifier) -> None:
    install_in_flask(app, verifier, TLSConnection.cheroot(), exempt={("GET", "/health")}, required_scopes=["api"])

    @app.get("/invoices/<int:number>")
    @require_scope_in_flask("invoices:read", "invoices:list")
    def invoice(number: int) -> dict[str, int]:
        assert_type(bound_token_of_flask(), BoundToken)
        return {"number": number}

    assert_type(invoice(7), dict[str, int])


def with_django(request: Any, verifier: Verifier) -> None:
    install_in_django({}, verifier, TLSConnection(), exempt={("GET", "/health")})
    install_in_django({}, "project.tokens.verifier", "project.tokens.peer_source")
    DjangoMiddleware(lambda request: request)

    @require_scope_in_django("invoices:read", "invoices:list")
    def invoice(request: Any, number: int) -> str:
        assert_type(bound_token_of_django(request), BoundToken)
        return str(number)

    assert_type(invoice(request, 7), str)


class KnownUsers(BoundTokenAuthentication):
    """An authentication class of REST framework, as a user writes one."""

    permission = require_scope("invoices:read")

    def get_user(self, token: BoundToken) -> TokenUser:
        return TokenUser(token)


def calling(pem: str, key_pem: bytes) -> None:
    identity: IdentitySource = FileIdentity("client.pem", "client.key")
    grant: Grant = ClientCredentials(
        "https://as.example",
        client_id="billing",
        token_endpoint="https://as.example/token",
        scope="invoices:read",
        ca="ca.pem",
    )
    with BoundTokenSession(identity, grant, origin="https://api.example", ca="ca.pem") as session:
        assert_type(session, BoundTokenSession)
        assert_type(session.get("https://api.example/invoices").status_code, int)
    BoundTokenAdapter(MemoryIdentity(pem, key_pem), grant, origin="https://api.example")
    key = SigningKey.from_pem(key_pem)
    grants: list[Grant] = [
        ClientCredentials("https://as.example", client_id="c", authentication=PrivateKeyJWT(key), resource=["urn:a"]),
        ClientCredentials("https://as.example", client_id="c", authentication=ClientSecretBasic(lambda: "s")),
        RefreshToken("https://as.example", client_id="c", refresh_token="r", on_new_refresh_token=print, ca="ca.pem"),
        TokenExchange("https://as.example", client_id="c", subject_token=lambda: "s", audience="a"),
        StaticToken("t"),
    ]
    identities: list[IdentitySource] = [
        FileIdentity("client.pem", password=lambda: "s"),
        PKCS12Identity("client.p12", password="s"),
        CallbackIdentity(lambda: (pem, key_pem)),
    ]
    tokens = TokenCache(grants[0], check_binding="require")
    with BoundTokenClient(identities[0], tokens, origin="https://api.example", replay_on_401=False) as client:
        assert_type(client.get("/invoices").status_code, int)


async def calling_asynchronously(identity: IdentitySource) -> None:
    async with AsyncBoundTokenClient(identity, lambda: "token", origin="https://api.example", timeout=5) as client:
        assert_type((await client.get("/invoices")).status_code, int)
    async with AiohttpSession(identity, lambda: "token", origin="https://api.example") as session:
        async with session.get("/invoices") as response:
            assert_type(response.status, int)
