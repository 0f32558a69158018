"""Show the whole path on this machine: a client, an API that it may call, and a thief with its token.

Starts a real token endpoint and a real API over mutual TLS on loopback, with certificates made for the occasion, and
ends them again. Nothing leaves the machine. Needs tokenbind[all]. Exit status 1 if anything is not as expected.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
import json
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs

from ..errors import ConfigurationError, GrantError, Reason, TokenBindError
from ..tokens import SigningKey
from .output import print_json


if TYPE_CHECKING:
    import ssl

    from ..client import ClientCredentials
    from ..testing import BindingKit, ClientCertificate


Outcome = tuple[int, str | None]  # the status, and why it is no 200


class Scene(NamedTuple):
    """Who did what, what the answer had to be, and what it was. A reason is what the operator sees, not the client."""

    who: str
    did: str
    expected: Outcome
    got: Outcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has no arguments of its own."""


def run(arguments: argparse.Namespace) -> int:
    try:
        scenes, thumbprint = _play()
    except ImportError as error:
        raise ConfigurationError(f"the demo needs everything: install tokenbind[all] ({error})") from None
    as_expected = all(scene.expected == scene.got for scene in scenes)
    if arguments.json:
        print_json(
            {"as_expected": as_expected, "thumbprint": thumbprint, "scenes": [_facts(scene) for scene in scenes]}
        )
    else:
        _print_table(scenes, thumbprint, as_expected)
    return 0 if as_expected else 1


def _play() -> tuple[list[Scene], str]:
    from ..client import ClientCredentials
    from ..client.requests import BoundTokenSession
    from ..resource_server.asgi import BoundTokenMiddleware
    from ..testing import BindingKit, MutualTLSServer

    kit = BindingKit()
    client, stranger = kit.client("billing"), kit.client("stranger")
    renewed = kit.renewed(client)
    scenes: list[Scene] = []

    def scene(who: str, did: str, expected: Reason | str | None, got: Outcome) -> None:
        scenes.append(Scene(who, did, (401 if expected else 200, expected), got))

    with ExitStack() as stack:
        token_endpoint = stack.enter_context(MutualTLSServer(_token_endpoint(kit, client), kit))
        api = stack.enter_context(MutualTLSServer(BoundTokenMiddleware(_api, kit.verifier), kit))
        grant = ClientCredentials(
            kit.issuer.issuer, client_id="billing", token_endpoint=f"{token_endpoint.url}/token", ca=kit.ca_pem
        )

        def call(token: str, certificate: ClientCertificate | None) -> Outcome:
            return _call(kit, f"{api.url}/invoices", token, certificate)

        outcome, stolen = _ask(grant, client)
        scene("client", "asks for a token over mutual TLS", None, outcome)
        with BoundTokenSession(client.identity, grant, origin=api.url, ca=kit.ca_pem) as session:
            status = session.get(f"{api.url}/invoices").status_code
        scene("client", "calls the API with token and certificate", None, (status, kit.monitor.last_reason))
        outcome, _ = _ask(grant, stranger)
        scene("thief", "asks for a token in the client's name", "invalid_client", outcome)
        missing, mismatch = Reason.CERTIFICATE_MISSING, Reason.CERTIFICATE_MISMATCH
        scene("thief", "sends the stolen token without a certificate", missing, call(stolen, None))
        scene("thief", "... with another certificate of the same CA", mismatch, call(stolen, stranger))
        scene("thief", "... with the client's key, but a renewed certificate", mismatch, call(stolen, renewed))
        unbound = kit.unbound(client)
        scene("thief", "sends an unbound token of the same issuer", Reason.TOKEN_UNBOUND, call(unbound, stranger))
        forged = kit.sign(kit.claims(stranger), key=SigningKey.generate(kit.key.algorithm, kid=kit.key.kid))
        scene("thief", "forges a token for their own certificate", Reason.SIGNATURE_INVALID, call(forged, stranger))
        scene("client", "calls the API again", None, call(stolen, client))
        kit.clock.move(301)
        scene("client", "calls the API five minutes later", Reason.TOKEN_EXPIRED, call(stolen, client))
    return scenes, client.thumbprint


def _ask(grant: ClientCredentials, certificate: ClientCertificate) -> tuple[Outcome, str]:
    """What the token endpoint answers to a client with this certificate, and the token if it gives one."""
    try:
        return (200, None), grant.fetch(certificate.identity.current()).access_token
    except GrantError as error:
        return (error.status or 0, error.error), ""


def _call(kit: BindingKit, url: str, token: str, certificate: ClientCertificate | None) -> Outcome:
    """What the API answers to this token on a connection with this certificate, and why, as its operator sees it."""
    from ..transport import fetch
    from ..transport.tls_context import client_context

    if certificate is None:
        context: ssl.SSLContext = client_context(kit.ca_pem)
    else:
        context = certificate.identity.current().ssl_context(kit.ca_pem)
    status = fetch(url, context=context, headers={"authorization": f"Bearer {token}"}).status
    return status, kit.monitor.last_reason


def _token_endpoint(kit: BindingKit, client: ClientCertificate) -> Any:
    """A token endpoint with one registered client, which authenticates with its certificate (RFC 8705 §2)."""
    from ..peer import TLSConnection

    source = TLSConnection()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        form = parse_qs((await receive())["body"].decode())
        try:
            peer = source.from_scope(scope)
            if form.get("client_id") != [client.name] or peer is None or peer.thumbprint != client.thumbprint:
                status, answer = 401, {"error": "invalid_client"}
            else:
                status, answer = 200, kit.issuer.token_response(peer, client_id=client.name, audience=kit.audience)
        except TokenBindError:
            status, answer = 400, {"error": "invalid_request"}
        await _send_json(send, status, answer)

    return app


async def _api(scope: Any, _receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await _send_json(send, 200, {"invoices": [], "for": scope["tokenbind.token"].client_id})


async def _send_json(send: Any, status: int, value: Any) -> None:
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(value).encode()})


def _facts(scene: Scene) -> dict[str, Any]:
    (expected_status, expected_reason), (status, reason) = scene.expected, scene.got
    return {
        "who": scene.who,
        "did": scene.did,
        "status": status,
        "reason": reason,
        "expected_status": expected_status,
        "expected_reason": expected_reason,
    }


def _print_table(scenes: list[Scene], thumbprint: str, as_expected: bool) -> None:
    print("A token endpoint and an API over mutual TLS on loopback. The client's token names its certificate:")
    print(f"  cnf.x5t#S256 = {thumbprint}\n")
    print(f"{'who':<8}{'what':<54}{'answer':<8}what the operator sees")
    print(f"{'---':<8}{'----':<54}{'------':<8}----------------------")
    for scene in scenes:
        status, reason = scene.got
        line = f"{scene.who:<8}{scene.did:<54}{status:<8}{reason or 'accepted'}"
        status, reason = scene.expected
        print(line if scene.got == scene.expected else f"{line}  EXPECTED {status}, {reason or 'accepted'}")
    print("\nEvery outcome is the expected one." if as_expected else "\nNOT every outcome is the expected one.")
