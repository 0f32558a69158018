"""The TLS files of a server, rewritten while it runs."""

from pathlib import Path
import ssl
from threading import Event

import pytest
import trustme

from tokenbind.servers.tls_context import ReloadingSSLContext


DEADLINE_SECONDS = 20


class RotatingFiles:
    """The files of a server, in the layout of a Kubernetes mount: links into a folder that is swapped as a whole."""

    def __init__(self, folder):
        self.folder, self.generation = folder, 0
        self.ca, self.clients, self.removed = trustme.CA(), trustme.CA(), trustme.CA()
        for name in ("tls.crt", "tls.key", "ca.crt"):
            (folder / name).symlink_to(Path("..data") / name)
        self.rotate(self.clients, self.removed)

    def __getitem__(self, name):
        return self.folder / name

    def rotate(self, *client_cas):
        """A new certificate and key, and a bundle of these CAs, all at once."""
        self.generation += 1
        data = self.folder / f"..{self.generation}"
        data.mkdir()
        leaf = self.ca.issue_cert("127.0.0.1")
        leaf.cert_chain_pems[0].write_to_path(data / "tls.crt")
        leaf.private_key_pem.write_to_path(data / "tls.key")
        for ca in client_cas:
            ca.cert_pem.write_to_path(data / "ca.crt", append=True)
        (self.folder / "..new").symlink_to(data.name)
        (self.folder / "..new").replace(self.folder / "..data")

    def make(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self["tls.crt"], self["tls.key"])
        context.load_verify_locations(self["ca.crt"])
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def reloading(self):
        return ReloadingSSLContext(self.make, self["tls.crt"], self["tls.key"], self["ca.crt"], None)

    def client_context(self, ca, version=ssl.TLSVersion.TLSv1_3):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.maximum_version = version
        self.ca.configure_trust(context)
        ca.issue_cert("client@example").configure_cert(context)
        return context


def wait_for(condition):
    for _ in range(DEADLINE_SECONDS * 100):
        if condition():
            return
        Event().wait(0.01)
    pytest.fail("it has not come to pass in time")
