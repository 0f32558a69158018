"""The public names: what ``__all__`` says is what there is, in order, explained, and what the design has promised."""

import ast
from importlib import import_module
import inspect
from pathlib import Path
from types import FunctionType

import pytest

import tokenbind
import tokenbind.testing


ROOMS = [
    "tokenbind",
    "tokenbind.binding",
    "tokenbind.client",
    "tokenbind.client.aiohttp",
    "tokenbind.client.httpx",
    "tokenbind.client.requests",
    "tokenbind.client.spiffe",
    "tokenbind.errors",
    "tokenbind.monitoring",
    "tokenbind.peer",
    "tokenbind.peer.forwarded",
    "tokenbind.resource_server",
    "tokenbind.resource_server.aiohttp",
    "tokenbind.resource_server.asgi",
    "tokenbind.resource_server.django",
    "tokenbind.resource_server.fastapi",
    "tokenbind.resource_server.flask",
    "tokenbind.resource_server.grpc",
    "tokenbind.resource_server.rest_framework",
    "tokenbind.resource_server.wsgi",
    "tokenbind.revocation",
    "tokenbind.testing",
    "tokenbind.tokens",
    "tokenbind.transport",
]
PROMISED = {  # design: the public API; names here are fixed
    "tokenbind": "AccessTokenProfile BindingPolicy BoundToken KeySet PeerCertificate Reason SigningKey TokenIssuer "
    "TokenVerifier TokenVerifiers Verifier thumbprint TokenBindError InvalidRequest InvalidToken InsufficientScope "
    "Unavailable ConfigurationError ClientError IdentityError GrantError OriginRefused",
    "tokenbind.client": "ClientCredentials FileIdentity MemoryIdentity",
    "tokenbind.client.aiohttp": "BoundTokenSession",
    "tokenbind.client.httpx": "AsyncBoundTokenClient AsyncBoundTokenTransport BoundTokenClient BoundTokenTransport",
    "tokenbind.client.requests": "BoundTokenAdapter BoundTokenSession",
    "tokenbind.peer": "TLSConnection Trust forwarded",
    "tokenbind.peer.Trust": "addresses unix_socket peer_certificates secret_header unsafe_anyone",
    "tokenbind.peer.forwarded": "rfc9440 nginx ingress_nginx haproxy apache caddy envoy traefik aws_alb "
    "aws_api_gateway azure_app_service azure_application_gateway gcp cloudflare sha256",
    "tokenbind.peer.forwarded.ForwardedSource": "from_scope from_environ from_request unsafe_parse",
    "tokenbind.peer.forwarded.EventSource": "from_scope from_environ from_request from_event",
    "tokenbind.resource_server": "ResourceServer",
    "tokenbind.resource_server.aiohttp": "TOKEN_KEY bound_token install",
    "tokenbind.resource_server.asgi": "BoundTokenMiddleware",
    "tokenbind.resource_server.django": "BoundTokenMiddleware bound_token install require_scope",
    "tokenbind.resource_server.fastapi": "bound_token install",
    "tokenbind.resource_server.flask": "bound_token install require_scope",
    "tokenbind.resource_server.grpc": "AsyncBoundTokenInterceptor BoundTokenInterceptor bound_token",
    "tokenbind.resource_server.rest_framework": "BoundTokenAuthentication TokenUser require_scope",
    "tokenbind.resource_server.wsgi": "BoundTokenMiddleware",
    "tokenbind.PeerCertificate": "from_der from_pem from_thumbprint thumbprint der chain source chain_verified "
    "not_after x509",
    "tokenbind.SigningKey": "generate from_pem",
    "tokenbind.TokenIssuer": "mint token_response jwks",
    "tokenbind.KeySet": "from_jwks from_url",
    "tokenbind.TokenVerifier": "from_issuer verify verify_async with_binding describe close",
    "tokenbind.TokenVerifiers": "verify verify_async describe close",
    "tokenbind.BoundToken": "subject client_id scopes audience issuer expires_at token_id claims thumbprint "
    "binding_refusal require_scope",
    "tokenbind.BindingPolicy": "REQUIRED WHEN_PRESENT unsafe_report_only",
    "tokenbind.AccessTokenProfile": "RFC9068 KEYCLOAK ENTRA_ID ENTRA_ID_V1",
    "tokenbind.peer.TLSConnection": "from_scope from_environ from_request cheroot mod_wsgi uwsgi",
    "tokenbind.resource_server.ResourceServer": "authenticate prepare finish",
    "tokenbind.Reason": "TOKEN_MISSING CERTIFICATE_MISSING CERTIFICATE_MISMATCH TOKEN_UNBOUND CONFIRMATION_MALFORMED "
    "CONFIRMATION_UNSUPPORTED SIGNATURE_INVALID ALGORITHM_REFUSED TOKEN_EXPIRED TOKEN_REVOKED "
    "CERTIFICATE_SOURCE_MISSING",
}


METHODS = (FunctionType, classmethod, property, staticmethod)


def isort_style(name):
    """How ruff's RUF022 sorts: constants, then classes, then the rest."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2, name)


def own_names(module):
    """The functions and classes that a module defines, and what a room takes from its own modules."""
    path = Path(module.__file__)
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1 and path.name == "__init__.py":
            yield from (alias.asname or alias.name for alias in node.names)
    yield from (node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef)))


def documented():
    """Every public function and class, and every method and property that such a class of ours defines."""
    for room in ROOMS:
        module = import_module(room)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isroutine(value) or inspect.isclass(value):
                yield f"{room}.{name}", value
            # The docstring of a protocol may speak for its members.
            if inspect.isclass(value) and not getattr(value, "_is_protocol", False):
                for member, descriptor in vars(value).items():
                    if not member.startswith("_") and isinstance(descriptor, METHODS):
                        yield f"{room}.{name}.{member}", getattr(value, member)


@pytest.mark.parametrize("room", ROOMS)
def test_all_is_what_there_is(room):
    """``__all__`` names everything public, nothing twice, and nothing that is not there."""
    module = import_module(room)
    public = {name for name in own_names(module) if not name.startswith("_")}

    assert set() == public - set(module.__all__)
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        assert None is not getattr(module, name)


@pytest.mark.parametrize("room", ROOMS)
def test_all_is_sorted(room):
    """``__all__`` is in the order that the linter keeps: classes, then functions."""
    names = import_module(room).__all__

    assert sorted(names, key=isort_style) == list(names)


@pytest.mark.parametrize(("owner", "names"), PROMISED.items(), ids=PROMISED)
def test_promised_names(owner, names):
    """The names that the documentation is written with exist."""
    module, _, attribute = owner.rpartition(".")
    thing = getattr(import_module(module), attribute) if attribute[0].isupper() else import_module(owner)

    assert [] == [name for name in names.split() if not hasattr(thing, name)]


def test_the_front_door_is_small():
    """About twenty names; everything else is a room's."""
    assert 25 >= len(tokenbind.__all__)


@pytest.mark.parametrize(("name", "value"), [pytest.param(*item, id=item[0]) for item in documented()])
def test_everything_public_is_explained(name, value):
    """Every public function, class, method and property says what it is."""
    assert (inspect.getdoc(value) or "").strip()


def test_names_that_are_imported_when_asked_for():
    """A room that imports its names when they are asked for has no others."""
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = tokenbind.testing.Nothing
