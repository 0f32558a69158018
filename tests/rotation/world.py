"""An API that closes its connections, an authorization server, and a client certificate that is renewed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

from tokenbind.client import ClientCredentials, FileIdentity, IdentitySource, MemoryIdentity
from tokenbind.peer import TLSConnection
from tokenbind.resource_server.asgi import BoundTokenMiddleware
from tokenbind.testing import BindingKit, ClientCertificate, MutualTLSServer


__all__ = ["REQUESTS_A_CONNECTION", "ROTATION_SECONDS", "Rotation", "World"]

ROTATION_SECONDS = 0.25
REQUESTS_A_CONNECTION = 25


class World:
    """Both servers, running.

    Attributes:
        token_requests: How many tokens were asked for.
        closed_connections: How many the API has closed after so many requests.
        seen: The thumbprints that reached the API's application.
    """

    def __init__(self) -> None:
        self.kit = BindingKit()
        self.token_requests = 0
        self.closed_connections = 0
        self.seen: set[str] = set()
        self._counts: dict[Any, int] = {}
        self._source = TLSConnection()
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        def serve(app: Any) -> str:
            return self._opened.enter_context(MutualTLSServer(app, self.kit, client_certificates="required")).url

        self.api = serve(self._closing(BoundTokenMiddleware(self._answer, self.kit.verifier)))
        self.token_endpoint = serve(self._issuing())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._opened.close()

    def grant(self) -> ClientCredentials:
        """For one client."""
        return ClientCredentials(
            "https://as.example", client_id="client", token_endpoint=self.token_endpoint, ca=self.kit.ca_pem
        )

    @contextmanager
    def rotating(self, kind: str) -> Iterator[Rotation]:
        """A certificate that is renewed all the time; ``by hand``: when it is told to."""
        with TemporaryDirectory() as folder:
            rotation = Rotation(self.kit, folder if kind == "files" else None)
            stop = Event()
            thread = Thread(target=rotation.run, args=(stop,), name="rotation")
            if kind != "by hand":
                thread.start()
            try:
                yield rotation
            finally:
                stop.set()
                if kind != "by hand":
                    thread.join()

    async def _answer(self, scope: Any, _receive: Any, send: Any) -> None:
        self.seen.add(scope["tokenbind.token"].thumbprint)
        await _say(send, 200, b"ok")

    def _issuing(self) -> Any:
        async def issue(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                return
            while (await receive()).get("more_body"):
                pass
            self.token_requests += 1
            peer = self._source.from_scope(scope)
            answer = self.kit.issuer.token_response(peer, client_id="client", audience=self.kit.audience)
            await _say(send, 200, json.dumps(answer).encode())

        return issue

    def _closing(self, app: Any) -> Any:
        """*app*, with every connection closed after so many requests."""

        async def closing(scope: Any, receive: Any, send: Any) -> None:
            async def sending(message: Any) -> None:
                if message["type"] == "http.response.start":
                    count = self._counts[scope["client"]] = self._counts.get(scope["client"], 0) + 1
                    if count >= REQUESTS_A_CONNECTION:
                        del self._counts[scope["client"]]
                        self.closed_connections += 1
                        message["headers"] = [*message["headers"], (b"connection", b"close")]
                await send(message)

            await app(scope, receive, sending)

        return closing


class Rotation:
    """A client certificate, of which there is always a next one.

    Attributes:
        source: For a client of ours.
        number: How many certificates there were.
    """

    def __init__(self, kit: BindingKit, folder: str | None) -> None:
        self._kit = kit
        self._folder = folder
        self._ways = (_replace, _write_in_place)
        self.number = 0
        self.files = (Path(folder, "client.pem"), Path(folder, "client.key")) if folder else ()
        certificate = self._issue()
        if self.files:
            certificate.write(str(folder))
            self.source: IdentitySource = FileIdentity(*self.files)
        else:
            self.source = MemoryIdentity(certificate.pem, certificate.key_pem)

    def run(self, stop: Event) -> None:
        """Until *stop*."""
        while not stop.wait(ROTATION_SECONDS):
            self.renew()

    def renew(self) -> ClientCertificate:
        """The next certificate, with a key of its own."""
        certificate = self._issue()
        if self.files:
            write: Callable[[Path, bytes], None] = self._ways[self.number // 8 % len(self._ways)]
            write(self.files[0], certificate.pem.encode())
            write(self.files[1], certificate.key_pem)
        else:
            assert isinstance(self.source, MemoryIdentity)
            self.source.replace(certificate.pem, certificate.key_pem)
        return certificate

    def _issue(self) -> ClientCertificate:
        self.number += 1
        leaf = self._kit.ca.issue_cert("client.example", common_name="client")
        pem = "".join(blob.bytes().decode() for blob in leaf.cert_chain_pems)
        return ClientCertificate("client", pem, leaf.private_key_pem.bytes())


def _replace(file: Path, data: bytes) -> None:
    """As cert-manager and certbot do, one file after the other."""
    new = file.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_bytes(data)
    new.replace(file)


def _write_in_place(file: Path, data: bytes) -> None:
    """As spiffe-helper does: for a moment, the file is empty."""
    file.write_bytes(data)


async def _say(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
