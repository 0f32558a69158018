"""What a request is sent with: identity, trust and token, chosen together at the moment of sending.

Every adapter asks a `CredentialChooser`, then sends with what it got: over connections of that generation alone, on a
copy of the request. Decisions are taken here; adapters translate.
"""

from __future__ import annotations

from concurrent.futures import Future, wait
import re
import ssl
from threading import Lock
from typing import NamedTuple, NoReturn, TypedDict

from ..errors import ClientError, ConfigurationError, Reason
from ..monitoring import IdentityRotated, Monitor, RequestRetried, TokenRejected
from ..tokens.forking import Forking
from ..tokens.waiting import wait_async
from ..transport import Identity, IdentitySource
from ..transport.tls_context import Trust
from ..transport.trust_anchors import TrustAnchors, TrustSource
from .binding_check import CheckBinding
from .origin import Origin
from .telling import require_monitor, tell
from .token_cache import TokenCache, Tokens


__all__ = ["MAX_REFUSAL_BYTES", "CredentialChooser", "Credentials", "Options"]

#: How much is read of an answer that is not wanted, so that its connection can be used again.
MAX_REFUSAL_BYTES = 65_536

_PATIENCE_SECONDS = 60  # for one fetch; a grant of ours gives up before
_error_of = re.compile(r'(?i)\berror\s*=\s*"?([a-z_]+)').search


class Options(TypedDict, total=False):
    """What every adapter takes besides.

    Attributes:
        check_binding: As for `TokenCache`; not together with one.
        replay_on_401: Whether a request is sent once more, with another token, if the API refuses the first. True.
        monitor: Told of rotations, fetches, refusals and replays; without one, the log is.
    """

    check_binding: CheckBinding
    replay_on_401: bool
    monitor: Monitor | None


class Credentials(NamedTuple):
    """Of one generation.

    Attributes:
        generation: Of the identity and of the trust anchors; a newer one compares greater.
        context: The frozen TLS context that presents the identity.
        token: What its certificate is named in.
        thumbprint: The certificate's.
    """

    generation: tuple[int, int]
    context: ssl.SSLContext
    token: str
    thumbprint: str

    def __repr__(self) -> str:
        return f"<Credentials for {self.thumbprint}>"


class CredentialChooser(Forking):
    """Chooses the credentials of each request to one origin.

    Args:
        identity: The client's certificate and key.
        tokens: A grant, a function that returns the token to send, or a `TokenCache` to be shared.
        origin: The only scheme, host and port that token and certificate are shown to.
        ca: Which CA vouches for that server: a PEM file, which may change, PEM bytes, or None for the system's.
        options: See `Options`.

    Raises:
        ConfigurationError: if an argument cannot be right.
        IdentityError: if there is no identity.
    """

    def __init__(
        self,
        identity: IdentitySource,
        tokens: Tokens,
        *,
        origin: str,
        ca: Trust | TrustSource = None,
        check_binding: CheckBinding | None = None,
        replay_on_401: bool = True,
        monitor: Monitor | None = None,
        **unknown: object,
    ) -> None:
        if unknown:
            name = next(iter(unknown))
            raise ConfigurationError(f"{name}= is none of the arguments: identity, tokens and ca= settle how we send")
        require_monitor(monitor)
        if not callable(getattr(identity, "current", None)):
            raise ConfigurationError('the identity must be one, such as FileIdentity("client.pem", "client.key")')
        if isinstance(tokens, TokenCache):
            if check_binding is not None:
                raise ConfigurationError("check_binding= is set where the TokenCache is made")
            self._tokens = tokens
        else:
            self._tokens = TokenCache(tokens, check_binding=check_binding or "auto", monitor=monitor)
        self._source = identity
        self._origin = Origin(origin)
        self._trust = TrustAnchors(ca)
        self._replay = replay_on_401
        self._monitor = monitor
        self._active = identity.current()
        super().__init__()

    def _be_born(self) -> None:
        self._lock = Lock()

    def choose(self, url: str, host: str | None = None) -> Credentials:
        """The credentials for a request to *url*, with *host* in its Host header, as soon as there are any.

        Raises:
            OriginRefused: if one of them is elsewhere.
            ClientError: if there are none.
        """
        self._origin.require(url, host)
        found = self._look_up()
        while isinstance(found, Future):
            wait([found], _PATIENCE_SECONDS)
            found = self._after(found)
        return found

    async def choose_async(self, url: str, host: str | None = None) -> Credentials:
        """As `choose`, in any event loop."""
        self._origin.require(url, host)
        found = self._look_up()
        while isinstance(found, Future):
            await wait_async(found, _PATIENCE_SECONDS)
            found = self._after(found)
        return found

    def another(self, refused: Credentials, challenge: str | None, *, replayable: bool) -> Credentials | None:
        """After a 401: what to send the same request with once more; None if its answer stands.

        Args:
            refused: What it was sent with.
            challenge: The WWW-Authenticate of the answer, if there was one.
            replayable: Whether the request can be sent again as it was.
        """
        found = self._look_for_another(refused, challenge, replayable)
        while isinstance(found, Future):
            wait([found], _PATIENCE_SECONDS)
            found = self._after_refusal(found, refused)
        return self._told(found)

    async def another_async(
        self, refused: Credentials, challenge: str | None, *, replayable: bool
    ) -> Credentials | None:
        """As `another`, in any event loop."""
        found = self._look_for_another(refused, challenge, replayable)
        while isinstance(found, Future):
            await wait_async(found, _PATIENCE_SECONDS)
            found = self._after_refusal(found, refused)
        return self._told(found)

    def _look_up(self, rejected: str | None = None) -> Credentials | Future[None]:
        found = self._tokens.look_up(self._source.current(), self._active, rejected)
        if isinstance(found, Future):
            return found
        identity, token = found
        if identity is not self._active:
            self._activate(identity)
        anchors = self._trust.current()
        return Credentials(
            (identity.generation, anchors.number), identity.ssl_context(anchors.pem), token, identity.thumbprint
        )

    def _activate(self, identity: Identity) -> None:
        with self._lock:
            previous = self._active
            # A thread that was held up with an older one must not undo a rotation.
            if identity.generation <= previous.generation:
                return
            self._active = identity
        if identity.thumbprint != previous.thumbprint:
            tell(self._monitor, IdentityRotated(previous.thumbprint, identity.thumbprint, identity.not_after))

    def _after(self, flight: Future[None], rejected: str | None = None) -> Credentials | Future[None]:
        if not flight.done():
            raise ClientError(
                Reason.AUTHORIZATION_SERVER_UNREACHABLE, f"no token came within {_PATIENCE_SECONDS} seconds"
            )
        return self._look_up(rejected)

    def _look_for_another(
        self, refused: Credentials, challenge: str | None, replayable: bool
    ) -> Credentials | Future[None] | None:
        found = None if challenge is None else _error_of(challenge)
        error = found and found[1].lower()
        tell(self._monitor, TokenRejected(str(self._origin), refused.thumbprint, error))
        # RFC 6750 §3.1: "The client MAY request a new access token and retry" is said of invalid_token alone. Gateways
        # that know no challenge say nothing at all.
        if challenge is not None and error != "invalid_token":
            return None
        try:
            another = self._look_up(refused.token)
        except ClientError:
            return None
        return another if replayable and self._replay else None

    def _after_refusal(self, flight: Future[None], refused: Credentials) -> Credentials | Future[None] | None:
        try:
            return self._after(flight, refused.token)
        except ClientError:
            return None  # the API's own answer is the better one

    def _told(self, another: Credentials | None) -> Credentials | None:
        if another is not None:
            tell(self._monitor, RequestRetried(str(self._origin), another.thumbprint))
        return another

    def __reduce__(self) -> NoReturn:
        raise TypeError("what holds a private key, tokens and connections is not pickled")
