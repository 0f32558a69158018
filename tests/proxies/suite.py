"""What every proxy is asked, each time the same: the owner gets in, and nobody else does, for the right reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
import ssl

from certificates import Certificates
from clients import HOST, Client, Fields
from connections import REFUSALS, Answer
from early_data import ask_early, early_data_allowed
from forging import FORMS, forgeries, raw_forgeries
from products import SECRET
from programs import Place
from setups import Setup

from tokenbind import Reason
from tokenbind.testing import ClientCertificate


__all__ = ["Suite", "checks_of"]

_BODY = bytes(150_000)  # larger than what any of them keeps in memory
_CONNECTIONS = 12


class Suite:
    """The checks of one setup; each raises if it does not hold."""

    def __init__(self, setup: Setup, place: Place, certificates: Certificates) -> None:
        self.setup = setup
        self.place = place
        self.certificates = certificates
        self._header = setup.proxy.header
        self._form = FORMS[setup.proxy.form]
        self._forged = self._form(certificates.owner)
        self._contexts: dict[tuple[ClientCertificate | None, str], ssl.SSLContext] = {}

    @property
    def _attackers(self) -> list[tuple[ClientCertificate | None, Reason]]:
        """The thief, and nobody, with what they are to be told in the log."""
        nobody = [] if self.setup.certificates == "required" else [(None, Reason.CERTIFICATE_MISSING)]
        return [(self.certificates.thief, Reason.CERTIFICATE_MISMATCH), *nobody]

    # Certificates.

    def right_certificates(self) -> None:
        """Of every kind; and a body beside each that is larger than the buffers."""
        any_issuer = (self.certificates.self_signed,) if self.setup.certificates == "any" else ()
        for client in (*self.certificates.good, *any_issuer):
            with self._connect(client) as connection:
                self._accepted(connection.ask(self._token(client)), client)
            with self._connect(client) as connection:
                self._accepted(connection.ask(self._token(client), body=_BODY), client, len(_BODY))

    def wrong_certificates(self) -> None:
        """Every kind with a stolen token."""
        certificates = self.certificates
        any_issuer = (certificates.self_signed, certificates.outsider) if self.setup.certificates == "any" else ()
        others = [client for client in certificates.good[1:] if self.setup.kind != "details" or client.name != "odd"]
        for client in (certificates.thief, certificates.renewed, *others, *any_issuer):
            with self._connect(client) as connection:
                self._refused(connection.ask(self._token()), Reason.CERTIFICATE_MISMATCH)
        with self._connect(certificates.thief) as connection:
            self._refused(connection.ask(self._token(), body=_BODY), Reason.CERTIFICATE_MISMATCH)

    def misleading_certificates(self) -> None:
        """Alternative names that are written to be misread as a header; what is in the header is not theirs to say."""
        for client in self.certificates.misleading:
            with self._noting(client.name, client), ExitStack() as stack:
                try:
                    connection = stack.enter_context(self._connect(client))
                    answer = connection.ask(self._token())
                except REFUSALS:
                    continue  # Go does not read a certificate with such a URI
                self._refused(answer, Reason.CERTIFICATE_MISMATCH)
                self._accepted(connection.ask(self._token(client)), client)

    def right_certificates_with_plain_names(self) -> None:
        """Where names are written into the header, those of the odd client are refused: they have commas in them."""
        certificates = self.certificates
        for client in (*certificates.clients, *(client for client in certificates.good if client.name != "odd")):
            with self._connect(client) as connection:
                self._accepted(connection.ask(self._token(client)), client)

    def misleading_certificates_in_the_header(self) -> None:
        """The same where the proxy writes the names into the header, without quotes as Envoy does."""
        for client in self.certificates.misleading:
            for holder in (self.certificates.owner, client):
                with self._noting(client.name, client), self._connect(client) as connection:
                    self._refused(connection.ask(self._token(holder)), Reason.CERTIFICATE_MALFORMED, 400)

    def no_certificate(self) -> None:
        if self.setup.certificates == "required":
            self._refused_by_proxy(None)
            return
        with self._connect(None) as connection:
            self._refused(connection.ask(self._token()), Reason.CERTIFICATE_MISSING)
        with self._connect(None) as connection:
            assert connection.ask(None, path="/health").status == 200

    def unknown_issuers(self) -> None:
        if self.setup.certificates != "any":
            self._refused_by_proxy(self.certificates.outsider)
            self._refused_by_proxy(self.certificates.self_signed)

    # Connections.

    def keep_alive(self) -> None:
        with self._connect(self.certificates.owner) as connection:
            for _ in range(2):
                self._accepted(connection.ask(self._token()), self.certificates.owner)
                assert connection.is_open, "the connection was closed"
                stolen = connection.ask(self._token(self.certificates.thief))
                self._refused(stolen, Reason.CERTIFICATE_MISMATCH)

    def interleaved(self) -> None:
        """Connections of three clients that stay open; the proxy's own ones to the service are few, and shared."""
        everyone = [self.certificates.clients[number % 3] for number in range(_CONNECTIONS)]
        others = [self.certificates.clients[(number + 1) % 3] for number in range(_CONNECTIONS)]
        with ExitStack() as stack:
            connections = [stack.enter_context(self._connect(client)) for client in everyone]
            for holders in (everyone, others, everyone):
                for connection, holder in zip(connections, holders, strict=True):
                    connection.send(self._token(holder))
                for connection, client, holder in zip(connections, everyone, holders, strict=True):
                    answer = connection.receive()
                    if holder is client:
                        self._accepted(answer, client)
                    else:
                        self._refused(answer, Reason.CERTIFICATE_MISMATCH)

    def http_2(self) -> None:
        with self._connect(self.certificates.owner, "h2") as connection:
            self._accepted(connection.ask_h2(self._token()), self.certificates.owner)
        for client, reason in self._attackers:
            with self._connect(client, "h2") as connection:
                self._refused(connection.ask_h2(self._token()), reason)

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
            with self._connect(client, "h2") as connection:
                try:  # RFC 9113 §8.2.2: a request with Connection is malformed
                    answer = connection.ask_h2(self._token(), [("Connection", self._header)])
                except REFUSALS:
                    continue
                self._foiled(answer, reason)

    def forged_bytes(self) -> None:
        for client, reason in self._attackers:
            for name, lines, body in raw_forgeries(self._header, self._forged):
                with self._noting(name, client), self._connect(client) as connection:
                    try:
                        answer = connection.ask_raw(self._token(), lines, "POST" if body else "GET", body)
                    except REFUSALS:
                        continue
                    self._foiled(answer, reason)

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
        for forgery in forgeries(self._header, self._form(self.certificates.thief)):
            with self._noting(forgery.name, self.certificates.owner), self._connect(self.certificates.owner) as client:
                self._accepted(client.ask(self._token(), forgery.fields), self.certificates.owner)

    def early_data(self) -> None:
        assert not early_data_allowed(self.place.proxy.port, self.certificates)
        with self._connect(self.certificates.owner) as connection:
            answer = connection.ask(self._token(), [("Early-Data", "1")])
            self._refused(answer, Reason.EARLY_DATA, 425)

    def early_data_switched_on(self) -> None:
        """What can be replayed is refused, where the proxy says that it was early."""
        said = ask_early(self.place.proxy.port, self.certificates)
        assert "Early data was accepted" in said, said
        assert "HTTP/1.1 425 " in said, said
        self.place.service.wait_for_log(f"refused with 425, {Reason.EARLY_DATA}: ")

    # Attacks beside the proxy.

    def around_the_proxy(self) -> None:
        """Whoever reaches the service itself can send any header."""
        forged = (self._header, self._forged)
        outsiders: list[tuple[str, ClientCertificate | None, Fields]] = {
            "address": [("127.0.0.2", None, [forged]), ("127.0.0.2", None, [forged, ("X-Forwarded-For", "127.0.0.1")])],
            "secret": [
                ("127.0.0.1", None, [forged]),
                ("127.0.0.1", None, [forged, ("Proxy-Secret", "")]),
                ("127.0.0.1", None, [forged, ("Proxy-Secret", "0" * 48)]),
                ("127.0.0.1", None, [forged, ("Proxy-Secret", SECRET), ("Proxy-Secret", SECRET)]),
                ("127.0.0.1", None, [forged, ("Proxy_Secret", SECRET)]),
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
                answer = connection.ask(self._token(), [(name, "0" * 48), ("Connection", "Proxy-Secret")])
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

    # What they are made of.

    def _connect(self, client: ClientCertificate | None, protocol: str = "http/1.1", name: str = HOST) -> Client:
        key = client, protocol
        if key not in self._contexts:
            self._contexts[key] = self.certificates.context(client, protocol=protocol)
            self._contexts[key].check_hostname = False  # who the proxy is, attackers do not care
        return Client(self.place.proxy.port, self._contexts[key], name=name)

    def _token(self, client: ClientCertificate | None = None) -> str:
        return self.certificates.tokens[client or self.certificates.owner]

    def _accepted(self, answer: Answer, client: ClientCertificate, size: int = 0) -> None:
        assert answer.status == 200, self._said(answer)
        assert answer.json == self.certificates.claims_of(client) | {"bytes": size}, answer

    def _refused(self, answer: Answer, reason: Reason, status: int = 401) -> None:
        """The answer says no more than that; the log says why, under the answer's reference."""
        said = self._said(answer)
        assert (answer.status, f"refused with {status}, {reason}: " in said) == (status, True), said

    def _said(self, answer: Answer) -> str:
        """The answer, or what the service's log has under its reference."""
        if not answer.reference:
            return str(answer)
        return self.place.service.wait_for_log(rf".*\(reference {answer.reference}\)")[0]

    @contextmanager
    def _noting(self, attack: str, client: ClientCertificate | None) -> Iterator[None]:
        """Say in errors which attack it was."""
        try:
            yield
        except Exception as error:
            error.add_note(f"{attack}, sent by {client}")
            raise

    def _foiled(self, answer: Answer, reason: Reason) -> None:
        """Refused for that reason, or by the proxy."""
        if answer.reference:
            self._refused(answer, reason)
        else:
            assert 400 <= answer.status < 500, answer

    def _refused_by_proxy(self, client: ClientCertificate | None) -> None:
        try:
            with self._connect(client) as connection:
                answer = connection.ask(self._token())
        except REFUSALS:
            answer = None
        status = answer and answer.status
        assert status == self.setup.proxy.without, f"not refused as it should be: {answer}"


_USUAL = (
    Suite.right_certificates,
    Suite.wrong_certificates,
    Suite.misleading_certificates,
    Suite.no_certificate,
    Suite.unknown_issuers,
    Suite.keep_alive,
    Suite.interleaved,
    Suite.http_2,
    Suite.forged_headers,
    Suite.forged_headers_over_http_2,
    Suite.forged_bytes,
    Suite.huge_headers,
    Suite.owner_forges,
    Suite.early_data,
    Suite.around_the_proxy,
    Suite.secret_through_the_proxy,
    Suite.proxy_as_a_client,
)
_OF_KIND = {
    "usual": _USUAL,
    "two hops": (*_USUAL, Suite.gateway_as_a_client, Suite.around_the_gateway),
    "details": (
        Suite.right_certificates_with_plain_names,
        Suite.misleading_certificates_in_the_header,
        Suite.wrong_certificates,
        Suite.no_certificate,
        Suite.forged_headers,
    ),
    "early data": (Suite.early_data_switched_on, Suite.right_certificates),
    "forgetful": (Suite.another_host, Suite.another_host_in_the_handshake),
    "forgetful everywhere": (Suite.another_host,),
    "open": (Suite.fooled,),
}


def checks_of(setup: Setup) -> tuple[Callable[[Suite], None], ...]:
    """Those that mean something for *setup*."""
    return _OF_KIND[setup.kind]
