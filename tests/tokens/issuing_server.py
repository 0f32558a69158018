"""An issuer over real HTTPS on loopback that answers, hangs, breaks off, or is away: whatever a test sets."""

from contextlib import ExitStack, suppress
import json
import re
import socket
from socketserver import ThreadingTCPServer
import ssl
import struct
from threading import Condition, Event, Thread
from time import monotonic

import pytest

from tokenbind import InvalidToken, KeySet, Reason, SigningKey, TokenIssuer, TokenVerifier, Unavailable


DEADLINE_SECONDS = 20


def eventually(condition):
    """Wait until *condition* is true, and return what it says."""
    end = monotonic() + DEADLINE_SECONDS
    while not (found := condition()):
        assert monotonic() < end, "it did not happen"
        Event().wait(0.005)
    return found


def document(value, *headers, status="200 OK"):
    """Answers with *value*: bytes, or what becomes JSON."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return saying("\r\n".join(head).encode() + b"\r\n\r\n" + body)


def saying(data):
    """Answers with these very bytes."""
    return lambda connection: connection.sendall(data)


def resetting(data):
    """Answers with *data*, and resets the connection."""

    def answer(connection):
        connection.sendall(data)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return answer


class Hanging:
    """Answers nothing until `released`, or until the server is stopped; then as *then* does, or not at all."""

    def __init__(self, then=None):
        self.released = Event()
        self._then = then or saying(b"")

    def __call__(self, connection):
        assert self.released.wait(DEADLINE_SECONDS)
        self._then(connection)


class _Listener(ThreadingTCPServer):
    daemon_threads = False
    allow_reuse_address = True
    request_queue_size = 50


class IssuingServer:
    """``https://127.0.0.1:PORT``, which is the issuer, with its metadata, and its keys at ``/jwks``.

    `answer` is what it does about ``/jwks``, `metadata` what it says of itself. `requests` are the paths that it was
    asked for, `answered` counts the ones that it is done with.
    """

    def __init__(self, kit):
        self.kit, self.client, self.thief = kit, kit.client(), kit.client("thief")
        self.requests, self.answered = [], 0
        self._changed = Condition()
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        kit.ca.issue_cert("127.0.0.1", "localhost").configure_cert(self._context)
        self.key = SigningKey.generate()
        self._stack, self._hanging, self._port = ExitStack(), [], 0
        self._listener = None
        self.start()
        self.url = f"https://127.0.0.1:{self._port}"
        self.metadata = {"issuer": self.url, "jwks_uri": f"{self.url}/jwks"}
        self.publish(self.key)

    def start(self):
        """Listen, on the same port as before."""
        self._listener = _Listener(("127.0.0.1", self._port), self._handle)
        self._port = self._listener.server_address[1]
        self._thread = Thread(target=self._listener.serve_forever, args=[0.01])
        self._thread.start()

    def stop(self):
        """Be away; who hangs is let go."""
        self._listener.shutdown()
        self._thread.join()
        self.release()
        self._listener.server_close()
        self._listener = None

    def release(self):
        for hanging in self._hanging:
            hanging.released.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._listener:
            self.stop()
        self._stack.close()

    def publish(self, *keys):
        """Answer with these keys: signing keys, or JWKs."""
        self.answer = document({"keys": [getattr(key, "public_jwk", key) for key in keys]})

    def hang(self, **options):
        """Answer nothing more until it is released."""
        self.answer = hanging = Hanging(**options)
        self._hanging.append(hanging)
        return hanging

    def wait_for_requests(self, number):
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= number, DEADLINE_SECONDS)

    def keys(self, **options):
        """Its keys, from ``/jwks``; by default they are fetched once, and for one unknown kid. Closed at the end."""
        options = {"refresh_seconds": 600, "cooldown_seconds": 600, "timeout_seconds": 10} | options
        keys = KeySet.from_url(f"{self.url}/jwks", ca=self.kit.ca_pem, **options)
        self._stack.callback(keys.close)
        return keys

    def verifier(self, keys, **options):
        options = {"clock": self.kit.clock} | options
        return TokenVerifier(issuer=self.url, audience=self.kit.audience, keys=keys, **options)

    def discovering(self, **options):
        """A verifier that was given the issuer's name."""
        options = {"issuer": self.url, "refresh_seconds": 600, "cooldown_seconds": 600, "timeout_seconds": 10} | options
        options = {"audience": self.kit.audience, "ca": self.kit.ca_pem, "clock": self.kit.clock} | options
        verifier = TokenVerifier.from_issuer(options.pop("issuer"), **options)
        self._stack.callback(verifier.close)
        return verifier

    def mint(self, key=None, client=None, issuer=None):
        """A token of the client, signed with *key*."""
        minting = TokenIssuer(issuer or self.url, key or self.key, clock=self.kit.clock)
        return minting.mint((client or self.client).peer, client_id="client", audience=self.kit.audience)

    def accepts(self, verifier, token):
        """Whether the client's token is accepted; the thief's is not, then, for that very reason."""
        accepted = verifier.verify(token, self.client.peer).thumbprint == self.client.thumbprint
        assert Reason.CERTIFICATE_MISMATCH is refusal(verifier, token, self.thief.peer)
        return accepted

    def refuses(self, verifier, token):
        """Why the client's token is refused."""
        return refusal(verifier, token, self.client.peer)

    def _handle(self, connection, _address, _server):
        with suppress(OSError):
            connection.settimeout(DEADLINE_SECONDS)
            with self._context.wrap_socket(connection, server_side=True) as secured:
                path = re.match(rb"GET (\S+) ", _head(secured))[1].decode()
                with self._changed:
                    self.requests.append(path)
                    self._changed.notify_all()
                answer = document(self.metadata) if path.startswith("/.well-known/") else self.answer
                try:
                    answer(secured)
                finally:
                    with self._changed:
                        self.answered += 1


def _head(connection):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        data = connection.recv(65_536)
        if not data:
            raise ConnectionError
        head += data
    return head


def refusal(verifier, token, peer):
    with pytest.raises((InvalidToken, Unavailable)) as caught:
        verifier.verify(token, peer)
    return caught.value.reason
