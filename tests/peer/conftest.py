"""Real TLS connections within this process, seen from the server's end."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
import socket
import ssl

import pytest

from .forwarding import HEADER, value_of


class Connections:
    """Makes connections between a server of the kit's CA and its clients; closes their sockets when the test ends."""

    def __init__(self, kit, stack):
        self._kit = kit
        self._stack = stack

    def server(self, verify_mode=ssl.CERT_REQUIRED, version=ssl.TLSVersion.TLSv1_3):
        """A server's context for one TLS version; clients are asked for certificates of the kit's CA."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = version
        context.verify_mode = verify_mode
        self._kit.ca.issue_cert("127.0.0.1").configure_cert(context)
        self._kit.ca.configure_trust(context)
        return context

    def client(self, client=None):
        """A client's context, presenting the certificate of *client*, or none."""
        if client is None:
            return ssl.create_default_context(cadata=self._kit.ca_pem.decode())
        return client.identity.current().ssl_context(self._kit.ca_pem)

    def sockets(self, server, client, session=None):
        """Both ends of a connection after its handshake, as `ssl.SSLSocket`; the server's end first."""
        near, far = self.pair()
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(client.wrap_socket, far, server_hostname="127.0.0.1", session=session)
            serving = server.wrap_socket(near, server_side=True)
            return self._stack.enter_context(serving), self._stack.enter_context(asking.result(10))

    def memory(self, server, client):
        """Both ends of a connection after its handshake, as `ssl.SSLObject`, the way of asyncio."""
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        serving = server.wrap_bio(to_server, to_client, server_side=True)
        asking = client.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
        waiting = [asking, serving]
        for end in [asking, serving] * 3:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            if end in waiting:
                waiting.remove(end)
        assert not waiting
        return serving, asking

    def pair(self):
        """Two plain sockets, connected."""
        near, far = socket.socketpair()
        return self._stack.enter_context(near), self._stack.enter_context(far)


@pytest.fixture
def connections(tokenbind_kit):
    """See `Connections`."""
    with ExitStack() as stack:
        yield Connections(tokenbind_kit, stack)


@pytest.fixture
def client(tokenbind_kit):
    """The client whose certificate the proxy forwards."""
    return tokenbind_kit.client()


@pytest.fixture
def field(client):
    """The header of the client's certificate, as the proxy sends it."""
    return HEADER.lower().encode(), value_of("percent", client.peer.der)


@pytest.fixture
def secret(tmp_path):
    """The file that the proxy's secret is in."""
    file = tmp_path / "secret"
    file.write_text("a" * 32 + "\n")
    return file
