"""What every proxy is asked, each time the same: the owner gets in, and nobody else does, for the right reason."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from attacks import Attacks
from connections import REFUSALS
from setups import Setup

from tokenbind import Reason


__all__ = ["Suite", "checks_of"]

_LONG = 150_000  # bytes; more than any of them keeps in memory
_CONNECTIONS = 12
_RECORD, _HEAD = 16_384, 200  # the longest of TLS; and a header without the token, at most


class Suite(Attacks):
    """All checks."""

    # Certificates.

    def right_certificates(self) -> None:
        """Of every kind; and a body beside each that is larger than the buffers."""
        any_issuer = (self.certificates.self_signed,) if self.setup.certificates == "any" else ()
        for client in (*self.certificates.good, *any_issuer):
            with self._connect(client) as connection:
                self._accepted(connection.ask(self._token(client)), client)
            with self._connect(client) as connection:
                self._accepted(connection.ask_long(self._token(client), _LONG), client, _LONG)

    def no_room_for_the_header(self) -> None:
        """A header of more than a kilobyte beside a request that fills the buffer.

        In one TLS record: of what comes in several, the proxy may have read the first alone when it adds the header.
        """
        token = self._token(self.certificates.rsa_4096)
        with self._connect(self.certificates.rsa_4096) as connection:
            answer = connection.ask_long(token, _RECORD - _HEAD - len(token))
            assert (answer.status, answer.reference) == (500, ""), answer

    def wrong_certificates(self) -> None:
        """Every kind with a stolen token."""
        certificates = self.certificates
        any_issuer = (certificates.self_signed, certificates.outsider) if self.setup.certificates == "any" else ()
        others = [client for client in certificates.good[1:] if self.setup.kind != "details" or client.name != "odd"]
        for client in (certificates.thief, certificates.renewed, *others, *any_issuer):
            with self._connect(client) as connection:
                self._refused(connection.ask(self._token()), Reason.CERTIFICATE_MISMATCH)
        with self._connect(certificates.thief) as connection:
            self._refused(connection.ask_long(self._token(), _LONG), Reason.CERTIFICATE_MISMATCH)

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
    Suite.trailers,
    Suite.huge_headers,
    Suite.owner_forges,
    Suite.early_data,
    Suite.the_users_own_check,
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
    "twins": (Suite.right_certificates, Suite.forged_headers),
    "copied": (Suite.fooled_by_the_twin,),
    "no room": (Suite.no_room_for_the_header,),
    "forgetful": (Suite.another_host, Suite.another_host_in_the_handshake),
    "forgetful everywhere": (Suite.another_host,),
    "open": (Suite.fooled, Suite.the_users_own_check),
}


def checks_of(setup: Setup) -> tuple[Callable[[Suite], None], ...]:
    """Those that mean something for *setup*."""
    return _OF_KIND[setup.kind]
