"""`SpiffeIdentity`: the certificate that SPIRE, or another SPIFFE Workload API, gives to this workload and renews."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from ..errors import ConfigurationError, IdentityError
from ..tokens.closing import Closing
from ..tokens.forking import Forking
from ..transport import Anchors, Identity, TrustSource
from ..transport.as_pem import certificates_as_pem, key_as_pem
from ..transport.identity import successor
from ..transport.tls_context import client_context


if TYPE_CHECKING:
    from spiffe import X509Svid
    from spiffe.workloadapi.x509_context import X509Context

    Update = X509Context | Exception | None  # None is from `close`

__all__ = ["SpiffeIdentity"]

_log = logging.getLogger("tokenbind")

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 5.0
_CLOSING_SECONDS = 5.0
_SILENT = "it does not answer"
_SILENT_AFTER_FORK = (
    "it does not answer; in a process that was forked, this may be gRPC's doing: "
    "unset GRPC_ENABLE_FORK_SUPPORT, or make the source in each process"
)
_REMEDIES = {
    "StatusCode.PERMISSION_DENIED": "it has no SVID for this workload; is an entry registered that selects it?",
    "StatusCode.UNAVAILABLE": "no agent answers there, or this user may not connect",
    "StatusCode.UNIMPLEMENTED": "what answers there is no Workload API",
}


class _Given(NamedTuple):
    """What the Workload API gave last, all from one message."""

    spiffe_id: str
    identity: Identity
    anchors: Anchors


class SpiffeIdentity(Closing, Forking):
    """The X.509-SVID of this workload, followed by a thread: each renewal is a new identity.

    It waits for the first SVID when it is made. From then on `current` never waits, and the last SVID serves until its
    end, however long the Workload API is away. Close it, or use ``with``. After a fork, the child opens a connection of
    its own at the first use; that needs gRPC's support of forks, which ``GRPC_ENABLE_FORK_SUPPORT=0`` turns off: the
    log says so then, and the child has the last SVID only. A source that is made after the fork needs nothing.

    Does NOT verify the SPIFFE ID of the servers that are called, nor of the authorization server: their certificates
    are checked by host name, as ever, so they need a DNS name or an IP address beside their SPIFFE ID. Does NOT verify
    who answers at the socket: whoever can put one in its place is this workload's agent.

    Args:
        socket: Of the Workload API: a path, or ``unix:///path``; default: ``$SPIFFE_ENDPOINT_SOCKET``.
        spiffe_id: Which SVID to use if the workload has several; default: the first, as the specification has it.
        timeout_seconds: How long to wait for the first SVID; later, how long an agent may be silent unnoticed.

    Raises:
        IdentityError: if there is no socket, or no usable SVID in time; says which socket, and why.
        ConfigurationError: if an argument cannot be right, or the ``spiffe`` package is not installed.
    """

    def __init__(
        self,
        socket: str | os.PathLike[str] | None = None,
        *,
        spiffe_id: str | None = None,
        timeout_seconds: float = 10,
    ) -> None:
        try:
            import spiffe
            from spiffe.errors import PySpiffeError
        except ImportError:
            raise ConfigurationError("the SPIFFE Workload API needs a package: install tokenbind[spiffe]") from None
        try:
            self._wanted = None if spiffe_id is None else str(spiffe.SpiffeId(spiffe_id))
        except PySpiffeError as error:
            raise ConfigurationError(f"spiffe_id= must be like spiffe://example.org/billing: {error}") from None
        self._socket, self._patience = _address(socket), timeout_seconds
        self._connect = spiffe.WorkloadApiClient
        self._given: _Given | None = None
        self._failure: str | None = None
        self._first = Event()
        super().__init__()
        self._start()
        try:
            self._first.wait(timeout_seconds)
        finally:
            given, failure = self._given, self._failure
            if given is None:
                self.close()
        if given is None:
            why = failure or _SILENT
            raise IdentityError(f"no SVID from the Workload API at {self._socket} in {timeout_seconds:g} s: {why}")

    def current(self) -> Identity:
        """The identity of the SVID that came last; the same object until another comes.

        Raises:
            IdentityError: after `close`.
        """
        return self._last().identity

    @property
    def ca(self) -> TrustSource:
        """The trust bundle of the SVID's own trust domain, for any ``ca=``; follows its updates.

        It vouches for every workload of that trust domain, not for one. Bundles of federated domains are not in it.
        """
        return _TrustBundle(self)

    @property
    def spiffe_id(self) -> str:
        """The SPIFFE ID of the current SVID."""
        return self._last().spiffe_id

    def close(self) -> None:
        """End the thread and its connection."""
        self._closing.set()
        self._updates.put(None)
        if self._thread is not None:
            self._thread.join(_CLOSING_SECONDS)
        self._given = None

    def _be_born(self) -> None:
        # The parent's channel is neither used nor closed here: its socket is the parent's too.
        self._silent = _SILENT_AFTER_FORK if hasattr(self, "_silent") else _SILENT
        self._lock, self._closing = Lock(), Event()
        self._updates: SimpleQueue[Update] = SimpleQueue()
        self._thread: Thread | None = None

    def _last(self) -> _Given:
        given = self._given
        if given is None:
            raise IdentityError("this SpiffeIdentity is closed")
        if self._thread is None:
            self._start()
        return given

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                thread = Thread(target=self._run, args=(self._closing,), daemon=True, name="tokenbind-spiffe")
                thread.start()
                self._thread = thread

    def _run(self, closing: Event) -> None:
        pause = 0.0
        while not closing.wait(pause):
            error = self._follow(closing)
            if error is not None:
                # A pause is short after a success, and longer after each failure that follows another.
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS) if self._failure else _FIRST_PAUSE_SECONDS
                self._tell(error)

    def _follow(self, closing: Event) -> Exception | None:
        """Take what comes until the stream ends, with the error that ended it, or with None for `close`.

        A client, and so a channel, for each stream: a channel that found nobody waits for up to two minutes before it
        tries again. The package's own retrying ends for good at the first SVID that it cannot read.
        """
        updates = self._updates = SimpleQueue()
        try:
            if closing.is_set():
                return None  # `close` may have rung the queue before this one
            with self._connect(self._socket) as client:
                stream = client.stream_x509_contexts(updates.put, updates.put, retry_connect=False)
                try:
                    update = self._first_of(updates)
                    while update is not None:
                        if isinstance(update, Exception):
                            return update
                        self._take(update)
                        update = updates.get()
                    return None
                finally:
                    stream.cancel()
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread must live on to see the next SVID
            return error

    def _first_of(self, updates: SimpleQueue[Update]) -> Update:
        """What comes first; an agent answers at once, if only that there is no SVID.

        Its silence is told, and then borne: where gRPC does not work, after a fork, each other try would leave a thread
        behind.
        """
        try:
            return updates.get(timeout=self._patience)
        except Empty:
            self._tell(TimeoutError(self._silent))
            return updates.get()

    def _take(self, context: X509Context) -> None:
        """All of it or nothing: an SVID with the bundle that came with it."""
        svid, last = self._choose(context.x509_svids), self._given
        identity = Identity(b"".join(certificates_as_pem(svid.cert_chain)), key_as_pem(svid.private_key))
        identity = successor(identity, last.identity if last else None)
        bundle = context.x509_bundle_set.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
        trusted = b"".join(sorted(certificates_as_pem(bundle.x509_authorities if bundle else ())))
        anchors = last.anchors if last else Anchors(0, None)
        if anchors.pem != trusted:
            client_context(trusted)
            anchors = Anchors(anchors.number + 1, trusted)
        identity.note(f"the SPIFFE Workload API at {self._socket} has sent no other")
        failure, self._failure = self._failure, None
        self._given = _Given(str(svid.spiffe_id), identity, anchors)
        if last is not None and failure is not None:
            _log.info("the SPIFFE Workload API at %s can be followed again", self._socket)
        self._first.set()

    def _choose(self, svids: list[X509Svid]) -> X509Svid:
        if self._wanted is None:
            return svids[0]
        for svid in svids:
            if str(svid.spiffe_id) == self._wanted:
                return svid
        there = ", ".join(str(svid.spiffe_id) for svid in svids)
        raise IdentityError(f"this workload has no SVID for {self._wanted}, but {there}")

    def _tell(self, error: Exception) -> None:
        why = str(error) or type(error).__name__
        why = next((f"{remedy} ({code})" for code, remedy in _REMEDIES.items() if code in why), why)
        if self._given is not None and why != self._failure:
            identity, problem = self._given.identity, f"the SPIFFE Workload API at {self._socket} cannot be followed"
            identity.note(f"{problem}: {why}")
            _log.warning("%s; the last SVID serves on, until %s: %s", problem, identity.not_after, why)
        self._failure = why

    def __reduce__(self) -> NoReturn:
        raise TypeError("a SpiffeIdentity holds a private key and a connection, and is not pickled")

    def __repr__(self) -> str:
        return f"<SpiffeIdentity {self._given.spiffe_id if self._given else 'closed'}>"


class _TrustBundle:
    """The trust anchors of a `SpiffeIdentity`."""

    def __init__(self, source: SpiffeIdentity) -> None:
        self._source = source

    def current(self) -> Anchors:
        return self._source._last().anchors

    def __repr__(self) -> str:
        return f"<trust bundle of {self._source!r}>"


def _address(socket: str | os.PathLike[str] | None) -> str:
    given = os.environ.get("SPIFFE_ENDPOINT_SOCKET", "") if socket is None else os.fspath(socket)
    if not given:
        raise IdentityError(
            "it is not known where the SPIFFE Workload API is: set SPIFFE_ENDPOINT_SOCKET, or give socket=, "
            "such as 'unix:///run/spire/agent-sockets/spire-agent.sock'"
        )
    if given.startswith("unix:"):
        return given
    if ":" in given.partition("/")[0]:
        raise ConfigurationError(f"the SPIFFE Workload API must be a Unix socket, unix:///path, and not {given!r}")
    return f"unix:{Path(given).absolute()}"
