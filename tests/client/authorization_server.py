"""A small authorization server for the tests of clients: real answers, and it checks what it is sent."""

from base64 import b64decode
from hmac import compare_digest
from http import HTTPStatus
import json
from urllib.parse import parse_qsl, unquote_plus

import jwt

from tokenbind import KeySet, PeerCertificate, TokenBindError, TokenIssuer, TokenVerifier


ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
METADATA = "/.well-known/oauth-authorization-server"


class Refused(Exception):
    """RFC 6749 §5.2."""

    def __init__(self, error, status=400, description=None):
        super().__init__(error)
        self.status = status
        self.members = {"error": error} | ({"error_description": description} if description else {})


class AuthorizationServer:
    """Knows its clients, authenticates each by its method, and binds what it gives to the certificate that it sees.

    Attributes:
        clients: By client id: ``method``, and ``certificate`` (a thumbprint), ``secret`` or ``key`` (a `SigningKey`).
        refresh_tokens: Each with its client id, and the thumbprint that it is bound to, or None.
        rotating: Whether a refresh token is good for one use.
        metadata: Changes to what it says about itself.
        answers: Given instead of its own, each once: a function of ``start_response``.
        asked: The path of every request, with the thumbprint of the certificate, or None.
        forms: The form of every token request, as pairs.
    """

    def __init__(self, kit):
        self.kit = kit
        self.clients, self.refresh_tokens, self.metadata = {}, {}, {}
        self.rotating = False
        self.answers, self.asked, self.forms = [], [], []
        self._assertions = set()

    def start(self, serve):
        """Serve it; its name is where it is."""
        self.url = serve(self, interface="wsgi").url
        self.issuer = TokenIssuer(self.url, self.kit.key)
        self.verifier = TokenVerifier(
            issuer=self.url, audience=self.kit.audience, keys=KeySet.from_jwks(self.issuer.jwks())
        )

    def holds(self, token, client):
        """Whether the API would take *token* on a connection of *client*; otherwise the reason."""
        try:
            return client.thumbprint == self.verifier.verify(token, client.peer).thumbprint
        except TokenBindError as error:
            return error.reason

    def paths(self):
        return [path for path, _ in self.asked]

    def __call__(self, environ, start_response):
        der = environ["tokenbind.socket"].getpeercert(True)
        peer = None if der is None else PeerCertificate.from_der(der)
        path = environ["PATH_INFO"]
        self.asked.append((path, peer and peer.thumbprint))
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"] or 0)).decode("ascii")
        if path.startswith("/.well-known/"):
            return self._say(start_response, 200 if path == METADATA else 404, self._metadata())
        self.forms.append(parse_qsl(body, strict_parsing=True, keep_blank_values=True))
        if self.answers:
            return self.answers.pop(0)(start_response)
        try:
            answer = self._token(environ, peer)
        except Refused as refused:
            return self._say(start_response, refused.status, refused.members)
        return self._say(start_response, 200, answer)

    def _metadata(self):
        members = {
            "issuer": self.url,
            "token_endpoint": f"{self.url}/token",
            "tls_client_certificate_bound_access_tokens": True,
            "token_endpoint_auth_methods_supported": sorted({client["method"] for client in self.clients.values()}),
        }
        return {name: value for name, value in {**members, **self.metadata}.items() if value is not ...}

    @staticmethod
    def _say(start_response, status, members):
        start_response(f"{status} {HTTPStatus(status).phrase}", [("content-type", "application/json")])
        return [json.dumps(members).encode()]

    def _token(self, environ, peer):
        assert "application/x-www-form-urlencoded" == environ["CONTENT_TYPE"]
        form = self.forms[-1]
        single = [name for name, _ in form if name not in {"resource", "audience"}]
        if len(set(single)) != len(single):
            raise Refused("invalid_request")
        form = dict(form)
        client_id = self._authenticate(environ, form, peer)
        if peer is None:
            raise Refused("invalid_request", description="no certificate")
        options = {"client_id": client_id, "audience": self.kit.audience, "scope": form.get("scope", "")}
        match form.get("grant_type"):
            case "client_credentials":
                return self.issuer.token_response(peer, **options)
            case "refresh_token":
                return self.issuer.token_response(peer, **options) | self._refresh(form, client_id, peer)
            case "urn:ietf:params:oauth:grant-type:token-exchange":
                options["subject"] = self._subject(form)
                return self.issuer.token_response(peer, **options) | {"issued_token_type": ACCESS_TOKEN}
        raise Refused("unsupported_grant_type")

    def _authenticate(self, environ, form, peer):
        basic = environ.get("HTTP_AUTHORIZATION", "")
        client_id, secret = form.get("client_id", ""), ""
        if basic:
            client_id, secret = map(unquote_plus, b64decode(basic.removeprefix("Basic ")).decode().split(":"))
        client = self.clients.get(client_id, {"method": None})
        certain = {
            "tls_client_auth": lambda: self._has_certificate(client, peer),
            "self_signed_tls_client_auth": lambda: self._has_certificate(client, peer),
            "client_secret_basic": lambda: compare_digest(secret.encode(), client["secret"].encode()),
            "private_key_jwt": lambda: self._has_signed(client, client_id, form),
            "none": lambda: True,
        }
        others = ("client_assertion" in form, bool(basic))
        used = {"private_key_jwt": (True, False), "client_secret_basic": (False, True)}
        method = client["method"]
        if method not in certain or others != used.get(method, (False, False)) or not certain[method]():
            raise Refused("invalid_client", 401)
        return client_id

    @staticmethod
    def _has_certificate(client, peer):
        return peer is not None and compare_digest(peer.thumbprint, client["certificate"])

    def _has_signed(self, client, client_id, form):
        """RFC 7523 §3, with ``jti`` as there in 7."""
        assert "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" == form["client_assertion_type"]
        key = client["key"]
        required = {"require": ["iss", "sub", "aud", "exp", "iat", "jti"], "strict_aud": True}
        try:
            claims = jwt.decode(
                form["client_assertion"], jwt.PyJWK(key.public_jwk), [key.algorithm], required, audience=self.url
            )
        except jwt.InvalidTokenError:
            return False
        fresh = claims["jti"] not in self._assertions and claims["exp"] - claims["iat"] <= 60
        self._assertions.add(claims["jti"])
        return fresh and claims["iss"] == claims["sub"] == client_id

    def _refresh(self, form, client_id, peer):
        owner, thumbprint = self.refresh_tokens.get(form.get("refresh_token"), (None, None))
        if owner != client_id or thumbprint not in {None, peer.thumbprint}:
            raise Refused("invalid_grant")
        if not self.rotating:
            return {}
        del self.refresh_tokens[form["refresh_token"]]
        successor = f"{form['refresh_token']}+"
        self.refresh_tokens[successor] = owner, thumbprint
        return {"refresh_token": successor}

    def _subject(self, form):
        """RFC 8693 §2.1. The subject token's own binding is the exchanging service's to verify."""
        if form["subject_token_type"] != ACCESS_TOKEN or ("actor_token" in form) != ("actor_token_type" in form):
            raise Refused("invalid_request")
        key = jwt.PyJWK(self.kit.key.public_jwk)
        try:
            return jwt.decode(form["subject_token"], key, ["ES256"], audience=self.kit.audience)["sub"]
        except jwt.InvalidTokenError:
            raise Refused("invalid_request", description=f"bad token {form['subject_token']}") from None


def answer(status, members=None, *, headers=(), body=None):
    """For `AuthorizationServer.answers`."""

    def give(start_response):
        start_response(status, list(headers))
        return [json.dumps(members).encode() if body is None else body]

    return give
