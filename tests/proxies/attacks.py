"""What attackers do: through the proxy, around it, and with what TLS and two hops offer."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
import subprocess
import sys

from asking import Asking
from clients import HOST, Client, Fields
from connections import REFUSALS
from early_data import ask_early, early_data_allowed
from forging import forgeries, raw_forgeries

from tokenbind import Reason
from tokenbind.testing import ClientCertificate


__all__ = ["Attacks"]

_ATTEMPTS = 50
_TRAILERS = 3  # requests; the proxy may send the first over a connection to the service that it does not use again
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "behind-any-proxy.md"


class Attacks(Asking):
    """The thief has the owner's token, and a certificate of his own or none."""

    # Attacks through the proxy.

    def forged_headers(self) -> None:
        for client, reason in self._attackers:
            for forgery in forgeries(self._header, self._forged):
                with self._noting(forgery.name, client), self._connect(client) as connection:
                    self._refused(connection.ask(self._token(), forgery.fields), reason)

    def forged_headers_over_http_2(self) -> None:
        for client, reason in self._attackers:
            for forgery in forgeries(self._header, self._forged):
                if any(name == "Connection" for name, _ in forgery.fields):
                    continue
                with self._noting(forgery.name, client), self._connect(client, "h2") as connection:
                    self._refused(connection.ask_h2(self._token(), forgery.fields), reason)
            # RFC 9113 §8.2.2: a request with Connection is malformed.
            for fields, trailer in ([("Connection", self._header)], []), ([], [(self._header, self._forged)]):
                with self._connect(client, "h2") as connection:
                    try:
                        answer = connection.ask_h2(self._token(), fields, trailer)
                    except REFUSALS:
                        continue
                    self._foiled(answer, reason)

    def forged_bytes(self) -> None:
        for client, reason in self._attackers:
            for name, lines in raw_forgeries(self._header, self._forged):
                with self._noting(name, client), self._connect(client) as connection:
                    try:
                        answer = connection.ask_raw(self._token(), lines)
                    except REFUSALS:
                        continue
                    self._foiled(answer, reason)

    def trailers(self) -> None:
        """Servers may take the trailer of a request for its header, or for that of the next one on a connection."""
        field = f"{self._header}: {self._forged}\r\n"
        head, body = f"Transfer-Encoding: chunked\r\nTrailer: {self._header}\r\n", f"1\r\na\r\n0\r\n{field}\r\n"
        for client, reason in self._attackers:
            for method, path in (("POST", "/"), ("GET", "/health")):
                with self._noting(f"a trailer of {path}", client), ExitStack() as stack:
                    connection = stack.enter_context(self._connect(client))
                    try:
                        for _ in range(_TRAILERS):
                            answer = connection.ask_raw(self._token(), head, method, body, path=path)
                            if path == "/":
                                self._foiled(answer, reason)
                        answer = connection.ask(self._token())
                    except REFUSALS:  # the proxy's connection to the service may still be there
                        answer = stack.enter_context(self._connect(client)).ask(self._token())
                    self._refused(answer, reason)

    def huge_headers(self) -> None:
        for client, reason in self._attackers:
            for name in (self._header, "X-Other"):
                with self._noting(name, client), self._connect(client) as connection:
                    try:
                        answer = connection.ask(self._token(), [(name, "A" * 1_048_576)])
                    except REFUSALS:
                        continue
                    self._foiled(answer, reason)
        with self._connect(self.certificates.owner) as connection:
            self._accepted(connection.ask(self._token()), self.certificates.owner)

    def owner_forges(self) -> None:
        """What the client says of itself has no say, also where it is the owner."""
        for forgery in forgeries(self._header, self._form(self.certificates.thief.pem)):
            with self._noting(forgery.name, self.certificates.owner), self._connect(self.certificates.owner) as client:
                self._accepted(client.ask(self._token(), forgery.fields), self.certificates.owner)

    def early_data(self) -> None:
        assert not early_data_allowed(self.place.proxy.port, self.certificates)
        with self._connect(self.certificates.owner) as connection:
            answer = connection.ask(self._token(), [("Early-Data", "1")])
            self._refused(answer, Reason.EARLY_DATA, 425)

    def early_data_switched_on(self) -> None:
        """What can be replayed is refused, where the proxy says that it was early."""
        for _ in range(_ATTEMPTS):
            said = ask_early(self.place.proxy.port, self.certificates)
            assert "Early data was accepted" in said, said
            if "HTTP/1.1 425 " in said:
                break
            # The handshake was done before nginx came to the request: it was not early any more (RFC 8470 §5.1).
            assert "HTTP/1.1 200 " in said, said
        else:
            raise AssertionError("no request was early")
        self.place.service.wait_for_log(f"refused with 425, {Reason.EARLY_DATA}: ")

    def the_users_own_check(self) -> None:
        """The program of the examples finds nothing wrong, and prints what its page says."""
        folder, client = self.place.folder, self.certificates.owner
        certificate, key = client.write(folder)
        (folder / "token").write_text(self._token())
        command = [sys.executable, "check.py", f"https://{HOST}/", "--proxy", self.setup.proxy.folder]
        command += ["--header", self._header, "--ca", "ca.pem", "--cert", str(certificate), "--key", str(key)]
        command += ["--token-file", "token", "--connect", f"127.0.0.1:{self.place.proxy.port}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == (self.setup.kind == "open"), done
        if self.setup.certificates == "optional" and self.setup.kind == "usual":
            assert done.stdout in PAGE.read_text(), done.stdout

    # Attacks beside the proxy.

    def around_the_proxy(self) -> None:
        """Whoever reaches the service itself can send any header."""
        forged, secret = (self._header, self._forged), self.certificates.secret
        outsiders: list[tuple[str, ClientCertificate | None, Fields]] = {
            "address": [("127.0.0.2", None, [forged]), ("127.0.0.2", None, [forged, ("X-Forwarded-For", "127.0.0.1")])],
            "secret": [
                ("127.0.0.1", None, [forged]),
                ("127.0.0.1", None, [forged, ("Proxy-Secret", "")]),
                ("127.0.0.1", None, [forged, ("Proxy-Secret", "0" * 64)]),
                ("127.0.0.1", None, [forged, ("Proxy-Secret", secret), ("Proxy-Secret", secret)]),
                ("127.0.0.1", None, [forged, ("Proxy_Secret", secret)]),
            ],
            "mutual TLS": [("127.0.0.1", self.certificates.thief, [forged])],
        }.get(self.setup.reach_name, [])
        for source, client, fields in outsiders:
            context = self.certificates.context(client) if client else None
            with Client(self.place.address, context, source) as connection:
                self._refused(connection.ask(self._token(), fields), Reason.PROXY_UNTRUSTED, 400)

    def secret_through_the_proxy(self) -> None:
        """The proxy replaces what clients send under the secret's name, and adds none."""
        for name in ("Proxy-Secret", "Proxy_Secret"):
            with self._connect(self.certificates.owner) as connection:
                answer = connection.ask(self._token(), [(name, "0" * 64), ("Connection", "Proxy-Secret")])
                assert answer.status in (200, 400), answer

    def proxy_as_a_client(self) -> None:
        """The proxy's own certificate is no client's, neither in the header nor on the connection."""
        if self.setup.reach_name != "mutual TLS":
            return
        proxy = self.certificates.proxy
        with self._connect(proxy) as connection:
            self._refused(connection.ask(self._token(proxy)), Reason.CERTIFICATE_MALFORMED, 400)
        with Client(self.place.address, self.certificates.context(proxy)) as connection:
            self._refused(connection.ask(self._token(proxy)), Reason.CERTIFICATE_MISSING)

    def gateway_as_a_client(self) -> None:
        """Of two proxies, the first has a certificate too; it is no client's when the client has none."""
        with self._connect(None) as connection:
            answer = connection.ask(self._token(self.certificates.proxy))
            self._refused(answer, Reason.CERTIFICATE_MISSING)

    def around_the_gateway(self) -> None:
        """Who reaches the second of two proxies could write what the first says, so it lets nobody else in."""
        context = self.certificates.context(self.certificates.thief)
        try:
            with Client(str(self.place.folder / "sidecar.sock"), context) as connection:
                answer = connection.ask(self._token(), [(self._header, self._forged)])
        except REFUSALS:
            return
        raise AssertionError(f"let in: {answer}")

    def fooled_by_the_twin(self) -> None:
        """Apache removes the header that Connection lists after setting it, and WSGI takes the twin for the header."""
        fields = [(self._header.replace("-", "_"), self._forged), ("Connection", self._header)]
        for client in (self.certificates.thief, None):
            with self._connect(client) as connection:
                self._accepted(connection.ask(self._token(), fields), self.certificates.owner)

    def another_host(self) -> None:
        """A virtual host that forgets the header lets it pass; the service knows for which host it may come."""
        forged = [(self._header, self._forged), ("Host", "other.example")]
        with self._connect(None, name="other.example") as connection:
            answer = connection.ask(self._token(), forged)
            self._refused(answer, Reason.PROXY_UNTRUSTED, 400)
            assert "yet it has the header" in self._said(answer), "the host does not forget it"

    def another_host_in_the_handshake(self) -> None:
        """Asking for one host in the handshake, which wants no certificate, and for another in the request."""
        with self._connect(None, name="other.example") as connection:
            answer = connection.ask(self._token(), [(self._header, self._forged)])
            self._foiled(answer, Reason.CERTIFICATE_MISSING)

    def fooled(self) -> None:
        """With the lines of the example taken out, the attack works: so it is they that keep it off."""
        for client in (self.certificates.thief, None):
            with self._connect(client) as connection:
                answer = connection.ask(self._token(), [(self._header, self._forged)])
                self._accepted(answer, self.certificates.owner)
