"""What tokenbind costs a server: its CPU for a request, next to that of the same server and application without it.

Both run at once and are asked in turns, so that what else the machine does hits both. What counts is the CPU time of
all processes of a server, by their own clocks. A server stands still until a request waits on every connection, and the
client sleeps until all are answered: else one would wake the other with every message, which on a virtual machine costs
more than the request. The token is cached after the first request, as it is in production.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
import random
from select import select
from statistics import median
from types import TracebackType
from typing import NamedTuple, Self

from connections import REFUSALS, Answer, Connection
from credentials import Credentials
from rows import Row
from starting import Running, connection_class, until


__all__ = ["Overhead", "measure"]

_CONNECTIONS = 32  # or as many as the server keeps open
_REQUESTS = 160  # in each round, of each server
_REQUESTS_WITH_A_HANDSHAKE = 24
_ATTEMPTS = 5
_STARTS, _ROUNDS = 3, 5


class Overhead(NamedTuple):
    """Medians of the rounds.

    Attributes:
        microseconds: CPU for a request, with tokenbind.
        without: And without it.
        ratio: Of the two, within a round.
    """

    microseconds: float
    without: float
    ratio: float


def measure(
    start: Callable[[bool], AbstractContextManager[Running]], row: Row, credentials: Credentials, *, quick: bool
) -> Overhead:
    """Ask both servers in turns; the first round is for their caches.

    And again with other processes of both, because each has a pace of its own, which it keeps.

    Args:
        start: Starts the server, with tokenbind or without.
    """
    rounds: list[tuple[float, float]] = []
    for _ in range(1 if quick else _STARTS):
        with ExitStack() as stack:
            clients = []
            for guarded in (True, False):
                server = stack.enter_context(start(guarded))
                clients.append(stack.enter_context(_Client(server, row, credentials, guarded=guarded)))
            for number in range(_ROUNDS + 1):
                costs = {client: client.round() for client in random.sample(clients, 2)}
                if number:
                    rounds.append((costs[clients[0]], costs[clients[1]]))
    ours, theirs = zip(*rounds, strict=True)
    return Overhead(median(ours), median(theirs), median(one / other for one, other in rounds))


class _Client:
    """Keeps its connections open, if the server does."""

    def __init__(self, server: Running, row: Row, credentials: Credentials, *, guarded: bool) -> None:
        self._server = server
        self._connection_class = connection_class(row)
        self._context = credentials.context(credentials.owner, protocol=self._connection_class.protocol)
        self._token = credentials.tokens[credentials.owner]
        self._claims = credentials.claims_of(credentials.owner) if guarded else None
        self._keeps = "keep" in row.features
        self._opened = ExitStack()
        self._held: list[Connection] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._opened.close()

    def round(self) -> float:
        """Microseconds of the server's CPU for a request."""
        for _ in range(_ATTEMPTS):
            if self._keeps and not self._held:
                self._connect()
            before = self._server.cpu_seconds()
            try:
                requests = self._ask_held() if self._keeps else self._ask_with_handshakes()
            except REFUSALS:  # the server has closed one that was idle for some seconds
                self._held = []
                continue
            return (self._server.cpu_seconds() - before) / requests * 1e6
        raise RuntimeError("the server does not keep connections open for as long as this takes")

    def _ask_held(self) -> int:
        requests = 0
        while requests < _REQUESTS:
            with self._server.standing_still():
                for connection in self._held:
                    connection.send(self._token)
            until(self._all_are_answered, "not every request was answered")
            for connection in self._held:
                self._check(connection.receive())
            requests += len(self._held)
        return requests

    def _all_are_answered(self) -> bool:
        sockets = [connection.tls for connection in self._held]
        return len(select(sockets, [], [], 0)[0]) == len(sockets)

    def _ask_with_handshakes(self) -> int:
        for _ in range(_REQUESTS_WITH_A_HANDSHAKE):
            with self._connection_class(self._server.port, self._context) as connection:
                self._check(connection.ask(self._token))
        return _REQUESTS_WITH_A_HANDSHAKE

    def _connect(self) -> None:
        self._opened.close()
        for _ in range(_CONNECTIONS):
            connection = self._opened.enter_context(self._connection_class(self._server.port, self._context))
            self._check(connection.ask(self._token))
            if connection.is_open:
                self._held.append(connection)

    def _check(self, answer: Answer) -> None:
        """That it is what it should be; without tokenbind, the service is told of somebody else."""
        if answer.status != 200 or (answer.json == self._claims) != (self._claims is not None):
            raise RuntimeError(f"answered {answer}")
