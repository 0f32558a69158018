"""What every server is asked, each time the same: the owner gets in, and nobody else does, for the right reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from functools import partial
import ssl
from threading import Event

from connections import REFUSALS, Answer, Client, Connection
from credentials import VERSIONS, Credentials, Version
from rows import Row
from starting import Running, connection_class

from tokenbind import Reason
from tokenbind.testing import ClientCertificate


__all__ = ["Suite", "checks_of"]

_Rounds = Sequence[Sequence[ClientCertificate]]  # whose token is sent on each connection

_CONNECTIONS = 50
_ATTEMPTS = 50
_SHORT_SECONDS = 2.5  # enough to connect with such a certificate; what is left of it is waited for


class Suite:
    """The checks of one row; each raises if it does not hold, and returns what is worth telling."""

    def __init__(self, row: Row, server: Running, credentials: Credentials) -> None:
        self.row = row
        self.server = server
        self.credentials = credentials
        self._connection_class = connection_class(row)

    def do(self, check: _Check) -> None:
        """Do *check*; again, if it met one of the answers 500 that this server is known for."""
        for _ in range(_ATTEMPTS if "fails" in self.row.features else 0):
            try:
                check(self)
                return
            except AssertionError as error:
                if "status=500" not in str(error):
                    raise
        check(self)

    # Certificates.

    def right_certificate(self) -> None:
        for client in self.credentials.clients:
            with self._connect(client) as connection:
                self._accepted(connection.ask(self._token(client)), client)

    def stolen_token(self) -> None:
        with self._connect(self.credentials.thief) as connection:
            self._refused(connection.ask(self._token()), Reason.CERTIFICATE_MISMATCH)

    def renewed_certificate(self) -> None:
        with self._connect(self.credentials.renewed) as connection:
            self._refused(connection.ask(self._token()), Reason.CERTIFICATE_MISMATCH)

    def no_certificate(self) -> None:
        if "optional" not in self.row.features:
            self._refused_by_tls(None)
            return
        with self._connect(None) as connection:
            self._refused(connection.ask(self._token()), Reason.CERTIFICATE_MISSING)
        with self._connect(None) as connection:
            assert connection.ask(None, "/health").status == 200

    def unknown_ca(self) -> None:
        self._refused_by_tls(self.credentials.outsider)

    def expired_certificate(self) -> None:
        self._refused_by_tls(self.credentials.expired)

    # Connections and sessions.

    def keep_alive(self) -> None:
        with self._connect(self.credentials.owner) as connection:
            self._accepted(connection.ask(self._token()), self.credentials.owner)
            assert connection.is_open == ("keep" in self.row.features), "keep-alive is not as the row says"
            if connection.is_open:
                self._refused(connection.ask(self._token(self.credentials.thief)), Reason.CERTIFICATE_MISMATCH)
                self._accepted(connection.ask(self._token()), self.credentials.owner)

    def resumed_tls_1_2(self) -> None:
        self._resumed("1.2")

    def resumed_tls_1_3(self) -> None:
        self._resumed("1.3")

    def short_lived_certificate(self) -> None:
        """It ends while the other checks run; its sessions are kept."""
        self._short = short = self.credentials.short_lived(_SHORT_SECONDS)
        self._short_token = self.credentials.kit.mint(short)
        self._short_sessions = [self._session(short, version, self._short_token) for version in VERSIONS]

    def expired_on_a_resumed_session(self) -> None:
        """TLS does not look at the certificate again, so it counts when the token ends, which our issuer sees to."""
        short = self._short
        outliving = self.credentials.outliving_token(short)
        _wait_until(short.peer.not_after + timedelta(seconds=0.2))
        self._refused_by_tls(short)
        for held in self._short_sessions:
            with self._resume(*held) as connection:
                self._refused(connection.ask(self._short_token), Reason.TOKEN_EXPIRED)
            with self._resume(*held) as connection:
                self._accepted(connection.ask(outliving), short)

    def interleaved(self) -> None:
        """Fifty connections of three clients, each asked three times: with its own token, with another's, and again."""
        clients = [self.credentials.clients[number % 3] for number in range(_CONNECTIONS)]
        others = [self.credentials.clients[(number + 1) % 3] for number in range(_CONNECTIONS)]
        contexts = {client: self._context(client) for client in self.credentials.clients}
        ask = self._ask_held if "keep" in self.row.features else self._ask_at_once
        answers = ask([contexts[client] for client in clients], (clients, others, clients))
        for client, *of_client in zip(clients, *answers, strict=True):
            self._accepted(of_client[0], client)
            self._refused(of_client[1], Reason.CERTIFICATE_MISMATCH)
            self._accepted(of_client[2], client)

    def _ask_held(self, contexts: list[ssl.SSLContext], rounds: _Rounds) -> list[list[Answer]]:
        """On connections that stay open. In each round, all are asked before one is answered."""
        retries = _ATTEMPTS if "fails" in self.row.features else 0
        with ExitStack() as stack:
            connects = [partial(self._connect_with, context) for context in contexts]
            clients = [stack.enter_context(Client(connect, retries)) for connect in connects]
            answers = []
            for owners in rounds:
                for client, owner in zip(clients, owners, strict=True):
                    client.send(self._token(owner))
                answers.append([client.receive() for client in clients])
        return answers

    def _ask_at_once(self, contexts: list[ssl.SSLContext], rounds: _Rounds) -> list[list[Answer]]:
        """On a connection for each request, all at once."""

        def ask(context: ssl.SSLContext, client: ClientCertificate) -> Answer:
            with self._connect_with(context) as connection:
                return connection.ask(self._token(client))

        with ThreadPoolExecutor(len(contexts)) as pool:
            return [list(pool.map(ask, contexts, tokens)) for tokens in rounds]

    # Protocols.

    def http_2(self) -> None:
        owner, thief = self.credentials.owner, self.credentials.thief
        with self._connect_with(self.credentials.context(owner, protocol="h2")) as connection:
            spoken = connection.tls.selected_alpn_protocol() == "h2"
            assert spoken == ("h2" in self.row.features), "HTTP/2 is not as the row says"
            if spoken:
                answers = connection.ask_side_by_side([self._token(client) for client in (owner, thief, owner)])
                self._accepted(answers[0], owner)
                self._refused(answers[1], Reason.CERTIFICATE_MISMATCH)
                self._accepted(answers[2], owner)

    def websocket(self) -> None:
        with self._connect(self.credentials.owner) as connection:
            answer = connection.open_websocket(self._token())
            assert (answer.status, answer.json) == (101, self.credentials.claims_of(self.credentials.owner))
        before = self.server.log.count(Reason.CERTIFICATE_MISMATCH)
        with self._connect(self.credentials.thief) as connection:
            answer = connection.open_websocket(self._token())
        if answer.reference:
            self._refused(answer, Reason.CERTIFICATE_MISMATCH)
        else:  # the server does not let the middleware answer, and says 403 itself
            assert answer.status == 403, answer
            self.server.wait_for_log(rf"(?s)(?:{Reason.CERTIFICATE_MISMATCH}.*){{{before + 1}}}")

    def source_in_log(self) -> None:
        self.server.wait_for_log("tokenbind: applications are told the certificate that each TLS connection has proven")

    # What they are made of.

    def _resumed(self, version: Version) -> None:
        for client, reason in ((self.credentials.owner, None), (self.credentials.thief, Reason.CERTIFICATE_MISMATCH)):
            held = self._session(client, version, self._token(), reason)
            if "resume" in self.row.features:
                with self._resume(*held) as connection:
                    self._answered(connection.ask(self._token()), client, reason)
            else:
                with self._connect_with(*held) as connection:
                    self._answered(connection.ask(self._token()), client, reason)
                    assert not connection.tls.session_reused, "the session was resumed"

    def _resume(self, context: ssl.SSLContext, session: ssl.SSLSession | None) -> Connection:
        """A connection with a resumed session. Of several processes, only the one that it was made with can do that."""
        assert session is not None, "the server gave no session"
        for _ in range(_ATTEMPTS):
            try:
                connection = self._connect_with(context, session)
            except REFUSALS:
                continue  # a full handshake with another process, in which the certificate was looked at
            if connection.tls.session_reused:
                return connection
            with connection:
                pass
        raise AssertionError("the session was not resumed")

    def _session(
        self, client: ClientCertificate, version: Version, token: str, reason: Reason | None = None
    ) -> tuple[ssl.SSLContext, ssl.SSLSession | None]:
        """A full handshake and a request; what a client keeps of it."""
        context = self._context(client, version)
        with self._connect_with(context) as connection:
            assert connection.tls.version() == f"TLSv{version}"
            answer = connection.ask(token)
        self._answered(answer, client, reason)
        return context, connection.session

    def _connect(self, client: ClientCertificate | None) -> Connection:
        return self._connect_with(self._context(client))

    def _connect_with(self, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> Connection:
        return self._connection_class(self.server.port, context, session)

    def _context(self, client: ClientCertificate | None, version: Version | None = None) -> ssl.SSLContext:
        return self.credentials.context(client, version, self._connection_class.protocol)

    def _token(self, client: ClientCertificate | None = None) -> str:
        return self.credentials.tokens[client or self.credentials.owner]

    def _answered(self, answer: Answer, client: ClientCertificate, reason: Reason | None) -> None:
        if reason is None:
            self._accepted(answer, client)
        else:
            self._refused(answer, reason)

    def _accepted(self, answer: Answer, client: ClientCertificate) -> None:
        assert answer.status == 200, answer
        assert answer.json == self.credentials.claims_of(client), f"{answer.json} is told to {client}"

    def _refused(self, answer: Answer, reason: Reason) -> None:
        """The answer says no more than that; the log says why, under the answer's reference."""
        assert answer.status == 401, answer
        assert answer.json["error"] == "invalid_token", answer
        self.server.wait_for_log(rf"refused with 401, {reason}: .*\(reference {answer.reference}\)")

    def _refused_by_tls(self, client: ClientCertificate | None) -> None:
        for version in VERSIONS:
            try:
                with self._connect_with(self._context(client, version)) as connection:
                    answer = connection.ask(self._token())
            except REFUSALS:
                continue
            raise AssertionError(f"TLS {version} let it in: {answer}")


def _wait_until(moment: datetime) -> None:
    while (left := (moment - datetime.now(timezone.utc)).total_seconds()) > 0:
        Event().wait(left)


_Check = Callable[[Suite], None]

#: In this order: what is done between the first and the last takes about as long as the short-lived certificate lives.
_CHECKS: tuple[tuple[_Check, str | None], ...] = (
    (Suite.short_lived_certificate, "resume"),
    (Suite.right_certificate, None),
    (Suite.stolen_token, None),
    (Suite.renewed_certificate, None),
    (Suite.no_certificate, None),
    (Suite.unknown_ca, None),
    (Suite.expired_certificate, None),
    (Suite.keep_alive, None),
    (Suite.resumed_tls_1_2, None),
    (Suite.resumed_tls_1_3, None),
    (Suite.http_2, None),
    (Suite.websocket, "ws"),
    (Suite.interleaved, None),
    (Suite.source_in_log, "says"),
    (Suite.expired_on_a_resumed_session, "resume"),
)


def checks_of(row: Row) -> list[_Check]:
    """Those that mean something for *row*."""
    return [check for check, feature in _CHECKS if feature is None or feature in row.features]
