"""Holds the tokens of a grant, one for each certificate, and fetches each once, however many wait for it.

All fetching is done by a thread that lives for one fetch: a *flight*. Threads and tasks wait for its future, and only
if they have nothing that is still good: a token is renewed before its end, and a new certificate gets its token, while
requests go on with what they had. A caller that is interrupted leaves the flight to the others.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from copy import copy
from random import uniform
from threading import Lock, Thread
from typing import NamedTuple, NoReturn, TypeVar, get_args

from ..errors import ClientError, ConfigurationError, Reason
from ..monitoring import Monitor, TokenFetched, TokenNotFetched
from ..tokens.clock import elapsed
from ..tokens.forking import Forking
from ..transport import Identity
from .binding_check import CheckBinding, require_token_of
from .grants import Grant, IssuedToken
from .telling import require_monitor, tell


__all__ = ["TokenCache", "Tokens"]

_FRESH_PART = 0.8, 0.9  # of a token's life, after which it is renewed: not by all at the same moment
_SPARE_PART, _MAX_SPARE_SECONDS = 0.1, 30  # of it, in which it is not sent any more: it must arrive before its end
_MAX_PAUSE_SECONDS = 60  # after failures, and for any Retry-After
_REJECTION_PAUSE_SECONDS = 30  # between fetches because an API answers 401
_MAX_KEPT = 64  # certificates
_ANYBODY = ""


Kept = TypeVar("Kept")


class _Held(NamedTuple):
    token: str
    fresh_until: float
    good_until: float

    def is_fresh(self, rejected: str | None) -> bool:
        return self.token != rejected and elapsed() < self.fresh_until

    def is_good(self, rejected: str | None) -> bool:
        return self.token != rejected and elapsed() < self.good_until

    def __repr__(self) -> str:  # tracebacks with local variables show it
        return "<a token>"


class _Failure(NamedTuple):
    error: ClientError
    until: float
    number: int  # how many there were in a row


class TokenCache(Forking):
    """The tokens of one grant, for whichever certificate is current. Safe for threads, tasks and forks.

    Sessions and clients make one of what they are given as *tokens*. Give them one and the same to have them share
    its tokens. A token is kept for as long as the authorization server says, counted from before the request, and
    never past its certificate's end.

    Does NOT verify tokens; see `require_token_of` for what is looked at.

    Args:
        tokens: A grant, or a function that returns the token to send: called at each request, it must not block.
        check_binding: Whether a token must be seen to name the certificate: ``auto`` takes an opaque one on trust,
            ``require`` refuses it, ``off`` looks at nothing.
        monitor: Told of every fetch; without one, the log is.

    Raises:
        ConfigurationError: if an argument cannot be right.
    """

    def __init__(
        self,
        tokens: Grant | Callable[[], str],
        *,
        check_binding: CheckBinding = "auto",
        monitor: Monitor | None = None,
    ) -> None:
        if not callable(tokens) and not callable(getattr(tokens, "fetch", None)):
            raise ConfigurationError("the tokens come from a grant, or from a function, such as lambda: token")
        require_monitor(monitor)
        if check_binding not in get_args(CheckBinding):
            raise ConfigurationError(f"check_binding= is one of {', '.join(get_args(CheckBinding))}")
        self._tokens = tokens
        self._check: CheckBinding = check_binding
        self._monitor = monitor
        self._held: dict[str, _Held] = {}
        self._failures: dict[str, _Failure] = {}  # by thumbprint; of a server that is away, under _ANYBODY
        self._no_rejection_until: dict[str, float] = {}  # by thumbprint: what one client does is not another's fault
        self._passed: tuple[Identity, str] | None = None
        super().__init__()

    def _be_born(self) -> None:
        self._lock = Lock()
        self._flights: dict[str, Future[None]] = {}

    def look_up(
        self, identity: Identity, previous: Identity | None = None, rejected: str | None = None
    ) -> tuple[Identity, str] | Future[None]:
        """What to send now, without waiting.

        Args:
            identity: The current one.
            previous: The one in use until now: while there is no token for *identity*, it serves on with its own.
            rejected: A token that an API refused, and that is not wanted again.

        Returns:
            An identity with its token; or what to wait for, before looking again.

        Raises:
            ClientError: if there is no token, or no other than the rejected one.
        """
        if callable(self._tokens):
            return self._ask(self._tokens, identity, previous, rejected)
        held = self._held.get(identity.thumbprint)
        if held is not None and held.is_fresh(rejected):
            return identity, held.token
        return self._renew(self._tokens, identity, previous, rejected)

    def _ask(
        self, tokens: Callable[[], str], identity: Identity, previous: Identity | None, rejected: str | None
    ) -> tuple[Identity, str]:
        token = tokens()
        if rejected is not None and token == rejected:
            raise ClientError(Reason.TOKEN_REVOKED, "there is no other token than the one that the API refused")
        try:
            identity.require_valid()
            if self._passed != (identity, token):
                require_token_of(token, identity, self._check)
                self._passed = identity, token
        except ClientError:
            # Whoever renews the tokens may not have seen the new certificate yet.
            if previous is None or previous is identity or previous.remaining_seconds() <= 0:
                raise
            require_token_of(token, previous, self._check)
            return previous, token
        return identity, token

    def _renew(
        self, grant: Grant, identity: Identity, previous: Identity | None, rejected: str | None
    ) -> tuple[Identity, str] | Future[None]:
        starting: Future[None] | None = None
        asking = identity
        try:
            with self._lock:
                own = self._held.get(identity.thumbprint)
                if own is not None and own.is_fresh(rejected):
                    return identity, own.token
                old = None if previous is None else self._held.get(previous.thumbprint)
                asking, flight = self._whom_to_ask_for(identity, previous, rejected)
                if flight is None:
                    flight = starting = self._flights[asking.thumbprint] = Future()
                    starting.set_running_or_notify_cancel()  # so that a task which is cancelled leaves it to the others
                    if rejected is not None:
                        _keep(self._no_rejection_until, asking.thumbprint, elapsed() + _REJECTION_PAUSE_SECONDS)
            if starting is not None:
                self._start(grant, asking, previous, starting)
        except BaseException:  # such as that of a signal: the thread may never run, and all would wait for it
            if starting is not None:
                self._land(asking, starting)
            raise
        if own is not None and own.is_good(rejected):
            return identity, own.token
        if previous is not None and old is not None and old.is_good(rejected):
            return previous, old.token
        if isinstance(flight, ClientError):
            raise copy(flight)  # the same one, raised by many threads, would gather their tracebacks
        return flight

    def _whom_to_ask_for(
        self, identity: Identity, previous: Identity | None, rejected: str | None
    ) -> tuple[Identity, Future[None] | ClientError | None]:
        """Whose token is wanted; and its flight, or why there is none now, or None if one is to begin."""
        flight = self._flights.get(identity.thumbprint) or self._why_not(identity, rejected)
        if isinstance(flight, ClientError) and previous is not None:
            # A new certificate that is refused may be welcome later; the last one is renewed until then.
            held = self._held.get(previous.thumbprint)
            other = self._flights.get(previous.thumbprint) or self._why_not(previous, rejected)
            if not isinstance(other, ClientError) and (held is None or not held.is_fresh(rejected)):
                return previous, other
        return identity, flight

    def _why_not(self, identity: Identity, rejected: str | None) -> ClientError | None:
        """Why nobody is asked for a token now."""
        try:
            identity.require_valid()
        except ClientError as error:
            return error
        now = elapsed()
        for failure in (self._failures.get(identity.thumbprint), self._failures.get(_ANYBODY)):
            if failure is not None and now < failure.until:
                return failure.error
        if rejected is not None and now < self._no_rejection_until.get(identity.thumbprint, now):
            return ClientError(Reason.TOKEN_REVOKED, "the API refuses every token")
        return None

    def _start(self, grant: Grant, identity: Identity, previous: Identity | None, flight: Future[None]) -> None:
        arguments = grant, identity, previous, flight
        try:
            Thread(target=self._fly, args=arguments, daemon=True, name="tokenbind-token").start()
        except RuntimeError:  # too many threads, or the interpreter ends
            self._fly(*arguments)

    def _fly(self, grant: Grant, identity: Identity, previous: Identity | None, flight: Future[None]) -> None:
        asked_at = elapsed()
        try:
            held, lifetime = self._fetch(grant, identity, asked_at)
        except BaseException as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            try:
                self._failed(grant, identity, previous, error)
            except Exception as another:  # noqa: BLE001 - a ClientError of the grant's own that is not whole
                self._failed(grant, identity, previous, another)
        else:
            with self._lock:
                self._failures.pop(identity.thumbprint, None)
                self._failures.pop(_ANYBODY, None)
                _keep(self._held, identity.thumbprint, held)
            took = elapsed() - asked_at
            tell(self._monitor, TokenFetched(_issuer_of(grant), identity.thumbprint, lifetime, took))
        finally:
            self._land(identity, flight)

    def _land(self, identity: Identity, flight: Future[None]) -> None:
        with self._lock:
            if self._flights.get(identity.thumbprint) is flight:
                del self._flights[identity.thumbprint]
        with suppress(InvalidStateError):  # who was to start it has landed it
            flight.set_result(None)

    def _fetch(self, grant: Grant, identity: Identity, asked_at: float) -> tuple[_Held, float]:
        issued = grant.fetch(identity)
        if not isinstance(issued, IssuedToken):
            raise ConfigurationError(f"fetch() of a grant must return an IssuedToken, not {type(issued).__name__}")
        require_token_of(issued.access_token, identity, self._check)
        lifetime = min(issued.expires_in_seconds, identity.remaining_seconds())
        good = lifetime - min(_MAX_SPARE_SECONDS, lifetime * _SPARE_PART)
        fresh = min(good, lifetime * uniform(*_FRESH_PART))  # noqa: S311 - no secret
        held = _Held(issued.access_token, asked_at + fresh, asked_at + good)
        if not elapsed() < held.good_until:  # not >=: NaN
            raise ClientError(
                Reason.TOKEN_EXPIRED, f"the authorization server's token is over at once: it lives for {lifetime:.3g} s"
            )
        return held, lifetime

    def _failed(self, grant: Grant, identity: Identity, previous: Identity | None, error: BaseException) -> None:
        if not isinstance(error, ClientError):
            problem = f"no token: the grant failed with {type(error).__name__}"
            if isinstance(error, ConfigurationError):
                problem = f"no token: {error}"
            error = ClientError(Reason.AUTHORIZATION_SERVER_UNREACHABLE, problem)
        # Another certificate may be welcome where one was refused, but an absent server is absent for all.
        unreachable = error.reason is Reason.AUTHORIZATION_SERVER_UNREACHABLE
        whose = _ANYBODY if unreachable else identity.thumbprint
        last = self._failures.get(whose)
        number = 1 if last is None else last.number + 1
        pause = min(_MAX_PAUSE_SECONDS, 2.0 ** min(number - 1, 10)) * uniform(0.75, 1.25)  # noqa: S311 - no secret
        pause = max(pause, min(error.retry_after_seconds or 0, _MAX_PAUSE_SECONDS))
        with self._lock:
            # A copy: tracebacks, and what it came from, would keep alive what it passed through.
            _keep(self._failures, whose, _Failure(copy(error), elapsed() + pause, number))
        serving, seconds = None, 0.0
        for one in filter(None, (previous, identity)):
            held = self._held.get(one.thumbprint)
            if held is not None and held.is_good(None):
                serving, seconds = one.thumbprint, held.good_until - elapsed()
        why = error.reason, str(error), pause
        tell(self._monitor, TokenNotFetched(_issuer_of(grant), identity.thumbprint, *why, serving, seconds))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a TokenCache holds tokens and is not pickled")


def _keep(kept: dict[str, Kept], name: str, one: Kept) -> None:
    kept.pop(name, None)
    kept[name] = one
    if len(kept) > _MAX_KEPT:
        del kept[next(iter(kept))]


def _issuer_of(grant: Grant) -> str | None:
    issuer = getattr(grant, "issuer", None)
    return issuer if isinstance(issuer, str) else None


#: What the adapters take as *tokens*.
Tokens = Grant | Callable[[], str] | TokenCache
