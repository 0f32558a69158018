"""What tokenbind costs a server: its CPU for a request, next to that of the same server and application without it.

Both run at once and are asked in turns, so that what else the machine does hits both. What counts is the CPU time of
all processes of a server, by their own clocks. A server stands still until a request waits on every connection, and the
client sleeps until all are answered: else one would wake the other with every message, which on a virtual machine costs
more than the request. The token is cached after the first request, as it is in production.
"""

from __future__ import annotations

from contextlib import ExitStack
import random
from select import select
from statistics import median
from typing import NamedTuple

from connections import Connection
from credentials import Credentials
from rows import Row
from starting import Running, connection_class, until


__all__ = ["Overhead", "measure"]

_CONNECTIONS = 32  # or as many as the server keeps open
_REQUESTS = 160  # in each round, of each server
_REQUESTS_WITH_A_HANDSHAKE = 24


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


def measure(row: Row, guarded: Running, unguarded: Running, credentials: Credentials, *, rounds: int) -> Overhead:
    """Ask both servers in turns; the first round is for their caches."""
    spent: dict[Running, list[float]] = {guarded: [], unguarded: []}
    with ExitStack() as stack:
        clients = {server: stack.enter_context(_Client(server, row, credentials)) for server in spent}
        for number in range(rounds + 1):
            for server in random.sample(list(spent), 2):
                cost = clients[server].round()
                if number:
                    spent[server].append(cost)
    ratios = [ours / theirs for ours, theirs in zip(*spent.values(), strict=True)]
    return Overhead(median(spent[guarded]), median(spent[unguarded]), median(ratios))


class _Client(ExitStack):
    """Keeps its connections open, if the server does."""

    def __init__(self, server: Running, row: Row, credentials: Credentials) -> None:
        super().__init__()
        self._server = server
        self._connection_class = connection_class(row)
        self._context = credentials.context(credentials.owner, protocol=self._connection_class.protocol)
        self._token = credentials.tokens[credentials.owner]
        self._held = self._connect() if "keep" in row.features else []

    def round(self) -> float:
        """Microseconds of the server's CPU for a request."""
        before = self._server.cpu_seconds()
        requests = self._ask_held() if self._held else self._ask_with_handshakes()
        return (self._server.cpu_seconds() - before) / requests * 1e6

    def _ask_held(self) -> int:
        requests = 0
        while requests < _REQUESTS:
            with self._server.standing_still():
                for connection in self._held:
                    connection.send(self._token)
            until(self._all_are_answered, "not every request was answered")
            for connection in self._held:
                _require_200(connection.receive().status)
            requests += len(self._held)
        return requests

    def _all_are_answered(self) -> bool:
        sockets = [connection.tls for connection in self._held]
        return len(select(sockets, [], [], 0)[0]) == len(sockets)

    def _ask_with_handshakes(self) -> int:
        for _ in range(_REQUESTS_WITH_A_HANDSHAKE):
            with self._connection_class(self._server.port, self._context) as connection:
                _require_200(connection.ask(self._token).status)
        return _REQUESTS_WITH_A_HANDSHAKE

    def _connect(self) -> list[Connection]:
        held = []
        for _ in range(_CONNECTIONS):
            connection = self.enter_context(self._connection_class(self._server.port, self._context))
            _require_200(connection.ask(self._token).status)
            if connection.is_open:
                held.append(connection)
        return held


def _require_200(status: int) -> None:
    if status != 200:
        raise RuntimeError(f"answered {status}")
