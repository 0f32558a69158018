"""The certificates and tokens of the matrix, made once: an owner, a thief, a third client, and an outsider."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
import json
from pathlib import Path
import ssl
from tempfile import TemporaryDirectory
from threading import Lock
from time import time
from typing import Any, Literal

from tokenbind.testing import BindingKit, ClientCertificate


__all__ = ["VERSIONS", "Credentials", "Version"]

Version = Literal["1.2", "1.3"]
VERSIONS: dict[Version, ssl.TLSVersion] = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Credentials:
    """One CA for the server and its clients, and another for the outsider."""

    def __init__(self) -> None:
        self.kit = kit = BindingKit()
        self.owner = kit.client("owner")
        self.thief = kit.client("thief")
        self.clients = (self.owner, self.thief, kit.client("third"))
        self.renewed = kit.renewed(self.owner)
        self.expired = kit.expired("expired")
        self.outsider = BindingKit().client("outsider")
        self.tokens = {client: kit.mint(client, lifetime=3600) for client in self.clients}
        self._server = kit.ca.issue_cert("127.0.0.1", "api.example")
        self._lock = Lock()

    def write_server_files(self, folder: Path) -> None:
        """What every server of examples/servers expects beside it."""
        self._server.private_key_pem.write_to_path(folder / "server.key")
        self._server.cert_chain_pems[0].write_to_path(folder / "server.pem")
        (folder / "ca.pem").write_bytes(self.kit.ca_pem)
        (folder / "jwks.json").write_text(json.dumps(self.kit.issuer.jwks()))

    def short_lived(self, seconds: float) -> ClientCertificate:
        """A client whose certificate ends in so many seconds, rounded down."""
        not_after = datetime.now(timezone.utc) + timedelta(seconds=seconds)
        return self.kit._issue("short", not_after=not_after)

    def outliving_token(self, client: ClientCertificate) -> str:
        """A token that an issuer, unlike ours, lets live longer than its certificate."""
        return self.kit.sign(self.kit.claims(client, exp=int(time()) + 300))

    def context(
        self, client: ClientCertificate | None, version: Version | None = None, protocol: str = "http/1.1"
    ) -> ssl.SSLContext:
        """A context of its own for each call, because sessions can be resumed within one context alone."""
        context = ssl.create_default_context(cadata=self.kit.ca_pem.decode())
        context.set_alpn_protocols([protocol])
        if version:
            context.minimum_version = context.maximum_version = VERSIONS[version]
        if client is not None:
            with self._lock, TemporaryDirectory() as folder:
                context.load_cert_chain(*client.write(folder))
        return context

    def claims_of(self, client: ClientCertificate) -> dict[str, Any]:
        """What the service tells this client of itself."""
        return {"client": client.name, "thumbprint": client.thumbprint}
