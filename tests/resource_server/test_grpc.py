"""grpcio behind the guard: its own servers, synchronous and asynchronous, and its client, over real mutual TLS."""

import asyncio
from contextlib import ExitStack, suppress
from threading import Event, Thread, enumerate as enumerate_threads
from unittest.mock import Mock
from urllib.parse import quote

import grpc
import grpc.aio
import pytest

from tokenbind import (
    ConfigurationError,
    InvalidRequest,
    InvalidToken,
    Reason,
    Unavailable,
)
from tokenbind.monitoring import Accepted
from tokenbind.peer import TLSConnection, Trust, forwarded
from tokenbind.resource_server import ResourceServer
from tokenbind.resource_server.grpc import AsyncBoundTokenInterceptor, BoundTokenInterceptor, bound_token
from tokenbind.resource_server.rpc import _socket_peer, presented

from .grpc_services import DEADLINE_SECONDS, KINDS, LARGE, AsyncService, Service, serving, serving_async, until


UNAUTHENTICATED, DENIED = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED
INVALID, UNAVAILABLE = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAVAILABLE


@pytest.fixture(params=["sync", "aio"])
def colour(request):
    return request.param


@pytest.fixture
def service(colour):
    return Service() if colour == "sync" else AsyncService()


@pytest.fixture
def credentials(tokenbind_kit):
    """Those of a port that asks for certificates, or does not."""

    def credentials(*, require_client_auth=True):
        server = tokenbind_kit.ca.issue_cert("127.0.0.1")
        pair = (server.private_key_pem.bytes(), server.cert_chain_pems[0].bytes())
        return grpc.ssl_server_credentials([pair], tokenbind_kit.ca_pem, require_client_auth)

    return credentials


@pytest.fixture
def serve(colour, service, verifier, credentials):
    """Serve the service until the test ends; returns the port."""
    default = credentials()
    with ExitStack() as stack:

        def serve(own=default, **options):
            run = serving if colour == "sync" else serving_async
            return stack.enter_context(run(service, verifier, own, **options))

        yield serve


@pytest.fixture
def connect(tokenbind_kit):
    """A channel to a port, on a connection of its own, for a peer, for none, or without TLS."""
    with ExitStack() as stack:

        def connect(port, peer=None, *, tls=True):
            # Without probes for bandwidth, a client that does not listen is sent no more than 64 KiB.
            options = [("grpc.use_local_subchannel_pool", 1), ("grpc.http2.bdp_probe", 0)]
            target = f"127.0.0.1:{port}"
            if not tls:
                return stack.enter_context(grpc.insecure_channel(target, options))
            pair = (None, None) if peer is None else (peer.key_pem, peer.pem.encode())
            own = grpc.ssl_channel_credentials(tokenbind_kit.ca_pem, *pair)
            return stack.enter_context(grpc.secure_channel(target, own, options))

        yield connect


class Answer:
    """What came of a call: the messages, and the status."""

    def __init__(self, messages, call):
        self.messages = messages
        self.code, self.details = call.code(), call.details()
        self.initial = list(call.initial_metadata() or ())
        self.trailing = dict(call.trailing_metadata() or ())


def call(channel, method, *requests, token=None, metadata=()):
    """Call a method of the service with these requests; by default with one."""
    requests = requests or (b"hello",)
    metadata = [*metadata, *([("authorization", f"Bearer {token}")] if token else [])]
    streams = KINDS.get(method, (False, False))
    kinds = ("stream" if streams[0] else "unary", "stream" if streams[1] else "unary")
    make = getattr(channel, "_".join(kinds))(f"/test.Service/{method}")
    request = iter(requests) if streams[0] else requests[0]
    options = {"metadata": metadata, "timeout": DEADLINE_SECONDS}
    messages = []
    try:
        if streams[1]:
            running = make(request, **options)
            messages.extend(running)
            return Answer(messages, running)
        message, running = make.with_call(request, **options)
        return Answer([message], running)
    except grpc.RpcError as error:
        return Answer(messages, error)


ANSWERS = {
    "WhoAmI": lambda thumbprint: [thumbprint],
    "Count": lambda thumbprint: [thumbprint] * 3,
    "Total": lambda thumbprint: [b"2 " + thumbprint],
    "Chat": lambda thumbprint: [b"a " + thumbprint, b"b " + thumbprint],
}


@pytest.mark.parametrize("method", ANSWERS)
def test_all_kinds_of_calls(
    method, serve, service, connect, tokenbind_client, tokenbind_stranger, tokenbind_token, tokenbind_monitor
):
    """Each with its rightful client; and not a message of the thief is read."""
    port = serve()
    answer = call(connect(port, tokenbind_client), method, b"a", b"b", token=tokenbind_token)
    assert (grpc.StatusCode.OK, {}) == (answer.code, answer.trailing)
    assert ANSWERS[method](tokenbind_client.thumbprint.encode()) == answer.messages
    assert [Accepted] == [type(event) for event in tokenbind_monitor.events]
    service.read.clear()
    answer = call(connect(port, tokenbind_stranger), method, b"a", b"b", token=tokenbind_token)
    assert (UNAUTHENTICATED, []) == (answer.code, answer.messages)
    assert Reason.CERTIFICATE_MISMATCH is tokenbind_monitor.last_reason
    assert [] == service.read


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("stranger", Reason.CERTIFICATE_MISMATCH),
        ("renewed", Reason.CERTIFICATE_MISMATCH),
        ("no token", Reason.TOKEN_MISSING),
        ("unbound", Reason.TOKEN_UNBOUND),
        ("expired", Reason.TOKEN_EXPIRED),
        ("revoked", Reason.TOKEN_REVOKED),
    ],
)
def test_refused(
    case, reason, serve, connect, revocation, tokenbind_kit, tokenbind_client, tokenbind_token, tokenbind_monitor
):
    """UNAUTHENTICATED for every other certificate and token, known method or not, in the words of the HTTP answer."""
    peer, token = tokenbind_client, tokenbind_token
    if case == "stranger":
        peer = tokenbind_kit.client("stranger")
    elif case == "renewed":
        peer = tokenbind_kit.renewed(tokenbind_client)
    elif case == "no token":
        token = None
    elif case == "unbound":
        token = tokenbind_kit.unbound(tokenbind_client)
    elif case == "expired":
        tokenbind_kit.clock.move(301)
    elif case == "revoked":
        revocation.revoke_certificate(tokenbind_client.thumbprint)
    channel = connect(serve(), peer)
    for method in ("WhoAmI", "Unknown"):
        answer = call(channel, method, token=token)
        assert (UNAUTHENTICATED, reason) == (answer.code, tokenbind_monitor.last_reason)
        words = "An access token is needed" if token is None else "The access token is refused on this connection"
        assert f"{words} (reference {tokenbind_monitor.refused[-1].reference})" == answer.details
        assert {"www-authenticate"} == set(answer.trailing)
        assert answer.trailing["www-authenticate"].startswith('Bearer realm="api"')


def test_unknown_methods_are_unknown_to_those_who_may_know(serve, connect, tokenbind_client, tokenbind_token):
    """As grpcio says it; all others are refused, see `test_refused`."""
    answer = call(connect(serve(end_streams=True), tokenbind_client), "Unknown", token=tokenbind_token)
    assert (grpc.StatusCode.UNIMPLEMENTED, "Method not found!") == (answer.code, answer.details)


def test_nobody_waits_for_the_requests_of_a_stranger(serve, service, connect, tokenbind_client, tokenbind_monitor):
    """A call is refused before its first message has come, and one that is too large is not looked at."""
    channel = connect(serve(), tokenbind_client)
    silent = Event()
    requests = (silent.wait(DEADLINE_SECONDS) for _ in range(1))
    with pytest.raises(grpc.RpcError) as caught:
        channel.stream_unary("/test.Service/WhoAmI")(requests, timeout=DEADLINE_SECONDS)
    silent.set()
    assert (UNAUTHENTICATED, Reason.TOKEN_MISSING) == (caught.value.code(), tokenbind_monitor.last_reason)
    assert UNAUTHENTICATED is call(channel, "WhoAmI", b"x" * 5_000_000).code
    assert [] == service.read


def test_a_call_without_its_request(serve, connect, tokenbind_client, tokenbind_token):
    """A method that takes one request says so to a client that sends none."""
    channel = connect(serve(), tokenbind_client)
    metadata = [("authorization", f"Bearer {tokenbind_token}")]
    for method in ("WhoAmI", "Count"):
        with pytest.raises(grpc.RpcError) as caught:
            channel.stream_unary(f"/test.Service/{method}")(iter(()), metadata=metadata, timeout=DEADLINE_SECONDS)
        assert grpc.StatusCode.UNIMPLEMENTED is caught.value.code()
        assert "exactly one request" in caught.value.details()


def test_a_request_that_cannot_be_deserialized(
    colour, serve, connect, tokenbind_client, tokenbind_token, tokenbind_stranger
):
    """As grpcio answers it, for those who may know; and the server can be stopped."""
    port = serve()
    answer = call(connect(port, tokenbind_client), "WhoAmI", b"broken", token=tokenbind_token)
    assert (grpc.StatusCode.INTERNAL if colour == "sync" else grpc.StatusCode.UNKNOWN) is answer.code
    assert "deserialize" in answer.details or "deserializing" in answer.details
    assert UNAUTHENTICATED is call(connect(port, tokenbind_stranger), "WhoAmI", b"broken", token=tokenbind_token).code


@pytest.mark.parametrize(
    ("metadata", "code", "reason"),
    [
        ([("authorization", "Bearer x")], INVALID, Reason.AUTHORIZATION_REPEATED),
        ([("early-data", "1")], UNAVAILABLE, Reason.EARLY_DATA),
        ([("authorization-bin", b"Bearer \xff"), ("trace-bin", b"\xff")], grpc.StatusCode.OK, None),
    ],
)
def test_metadata(metadata, code, reason, serve, connect, tokenbind_client, tokenbind_token, tokenbind_monitor):
    """The guard is given all of it; what ends in -bin is another field."""
    answer = call(connect(serve(), tokenbind_client), "WhoAmI", token=tokenbind_token, metadata=metadata)
    assert (code, reason) == (answer.code, tokenbind_monitor.last_reason)


def test_ports_that_tell_nothing(
    serve, credentials, connect, tokenbind_client, tokenbind_token, tokenbind_monitor, caplog
):
    """An insecure port, and one that never asks: no information, not "no certificate"; the log has the remedy."""
    for port, peer, tls in (
        (serve(None), None, False),
        (serve(credentials(require_client_auth=False)), tokenbind_client, True),
    ):
        answer = call(connect(port, peer, tls=tls), "WhoAmI", token=tokenbind_token)
        assert (UNAVAILABLE, Reason.CERTIFICATE_SOURCE_MISSING) == (answer.code, tokenbind_monitor.last_reason)
        assert {} == answer.trailing
        assert "require_client_auth=True" in caplog.text
        caplog.clear()


def test_a_client_without_a_certificate(serve, connect, tokenbind_token, tokenbind_monitor):
    """It has no connection, so nobody is asked."""
    assert UNAVAILABLE is call(connect(serve()), "WhoAmI", token=tokenbind_token).code
    assert [] == tokenbind_monitor.events


def test_the_peer_source_is_asked(serve, connect, tokenbind_client, tokenbind_stranger, tokenbind_token):
    """Another source than the default gets the metadata, and who is at the other end; and it decides."""
    asked = []

    class Source:
        from_scope = from_environ = None

        def from_request(self, headers, /, *, socket_peer, tls_peer):
            asked.append((dict(headers)[b"x-cert"], socket_peer[0], tls_peer and tls_peer.getpeercert(True)))
            return tokenbind_client.peer

    answer = call(
        connect(serve(peer_source=Source()), tokenbind_stranger),
        "WhoAmI",
        token=tokenbind_token,
        metadata=[("x-cert", "1")],
    )
    assert [tokenbind_client.thumbprint.encode()] == answer.messages
    port = serve(None, peer_source=Source())
    answer = call(connect(port, tls=False), "WhoAmI", token=tokenbind_token, metadata=[("x-cert", "2")])
    assert [tokenbind_client.thumbprint.encode()] == answer.messages
    assert [(b"1", "127.0.0.1", tokenbind_stranger.peer.der), (b"2", "127.0.0.1", None)] == asked


@pytest.fixture
def secret(tmp_path):
    (tmp_path / "secret").write_text("s" * 32)
    return Trust.secret_header("X-K7Qd2-Secret", file=tmp_path / "secret")


def test_behind_a_proxy(
    colour, service, secret, serve, connect, tokenbind_client, tokenbind_stranger, tokenbind_token, tokenbind_monitor
):
    """Its metadata is read, and no servicer sees it, nor what looks like it; exempt methods neither."""
    seen = []

    def look(context):
        seen.append([name for name, _ in context.invocation_metadata() if name != "user-agent"])
        return b"seen"

    async def look_async(_request, context):
        return look(context)

    service.Open = look_async if colour == "aio" else lambda _request, context: look(context)
    service.Broken = service.Open
    source = forwarded.nginx(header="X-K7Qd2-Cert", trusted_proxy=secret & Trust.addresses("127.0.0.1"))
    port = serve(None, peer_source=source, exempt={("POST", "/test.Service/Broken")})
    channel, proven = connect(port, tls=False), ("x-k7qd2-secret", "s" * 32)
    mine, others = (("x-k7qd2-cert", quote(each.pem, safe="")) for each in (tokenbind_client, tokenbind_stranger))
    for metadata, code, reason in (
        ([proven, mine], grpc.StatusCode.OK, None),
        ([proven, others], UNAUTHENTICATED, Reason.CERTIFICATE_MISMATCH),
        ([proven], UNAUTHENTICATED, Reason.CERTIFICATE_MISSING),
        ([mine], INVALID, Reason.PROXY_UNTRUSTED),
        ([proven, mine, ("x-k7qd2_cert", mine[1])], INVALID, Reason.CERTIFICATE_MALFORMED),
    ):
        tokenbind_monitor.events.clear()
        answer = call(channel, "Open", token=tokenbind_token, metadata=[*metadata, ("x-other", "x")])
        assert (code, reason) == (answer.code, tokenbind_monitor.last_reason if reason else None)
    assert [["x-other", "authorization"]] == seen
    twins = [(name.replace("-", "_"), value) for name, value in (proven, mine)]
    assert [b"seen"] == call(channel, "Broken", metadata=[*twins, mine, proven, ("x-other", "x")]).messages
    assert ["x-other"] == seen[-1]


def test_the_certificate_of_a_proxy(
    serve, connect, tokenbind_client, tokenbind_stranger, tokenbind_token, tokenbind_monitor
):
    """It connects with its own, and forwards the client's; the client itself can forward nothing."""
    trust = Trust.peer_certificates(tokenbind_stranger.thumbprint)
    port = serve(peer_source=forwarded.nginx(header="X-K7Qd2-Cert", trusted_proxy=trust))
    metadata = [("x-k7qd2-cert", quote(tokenbind_client.pem, safe=""))]
    answer = call(connect(port, tokenbind_stranger), "WhoAmI", token=tokenbind_token, metadata=metadata)
    assert [tokenbind_client.thumbprint.encode()] == answer.messages
    assert INVALID is call(connect(port, tokenbind_client), "WhoAmI", token=tokenbind_token, metadata=metadata).code
    assert Reason.PROXY_UNTRUSTED == tokenbind_monitor.last_reason


@pytest.mark.parametrize("interceptor", [BoundTokenInterceptor, AsyncBoundTokenInterceptor])
def test_what_is_not_told(interceptor, secret, verifier):
    """Said where it is made, not at every call."""
    for trust, hosts, words in (
        (Trust.unix_socket("/run/api.sock"), None, "Trust.unix_socket cannot"),
        (secret & Trust.unix_socket("/run/api.sock"), None, "Trust.unix_socket cannot"),
        (secret, ["api.example"], "hosts= cannot"),
    ):
        source = forwarded.nginx(header="X-K7Qd2-Cert", trusted_proxy=trust, hosts=hosts)
        with pytest.raises(ConfigurationError, match=words):
            interceptor(verifier, source)
    interceptor(verifier, forwarded.nginx(header="X-K7Qd2-Cert", trusted_proxy=secret))


@pytest.mark.parametrize(
    ("told", "address"),
    [
        ("ipv4:127.0.0.1:4711", ("127.0.0.1", 4711)),
        ("ipv6:%5B::1%5D:4711", ("::1", 4711)),
        ("ipv6:[fe80::1%25eth0]:4711", ("fe80::1%eth0", 4711)),
        ("unix:/run/api.sock", None),
        ("unix:", None),
        ("ipv4:nonsense", None),
    ],
)
def test_addresses(told, address):
    """As a socket gives them."""
    assert address == _socket_peer(told)


@pytest.mark.parametrize("certificates", [["client", "stranger"], [], ["broken"]])
def test_certificates_that_cannot_be_one(certificates, verifier, tokenbind_kit, tokenbind_monitor):
    """gRPC gives exactly one; anything else is refused."""
    context = Mock(invocation_metadata=lambda: None, peer=lambda: "")
    pems = {name: [tokenbind_kit.client(name).pem.encode()] for name in ("client", "stranger")} | {"broken": [b"\xff"]}
    context.auth_context = lambda: {"x509_pem_cert": [pem for name in certificates for pem in pems[name]]}
    expected = InvalidRequest if certificates else Unavailable
    with pytest.raises(expected):
        presented(ResourceServer(verifier), context, "/test.Service/WhoAmI")
    assert tokenbind_monitor.last_reason in (Reason.CERTIFICATE_MALFORMED, Reason.CERTIFICATE_SOURCE_MISSING)


def test_three_clients_interleaved(serve, connect, tokenbind_kit):
    """Kept connections, each client's own, used at the same time; and each refused with the token of another."""
    port, wrong = serve(), []
    clients = [tokenbind_kit.client(name) for name in ("alice", "bob", "carol")]
    tokens = [tokenbind_kit.mint(client) for client in clients]

    def work(client, channel):
        for _ in range(5):
            for owner, token in zip(clients, tokens, strict=True):
                answer = call(channel, "WhoAmI", token=token)
                if owner is client and answer.messages != [client.thumbprint.encode()]:
                    wrong.append(answer)
                if owner is not client and answer.code is not UNAUTHENTICATED:
                    wrong.append(answer)

    threads = [Thread(target=work, args=(client, connect(port, client))) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    assert [] == wrong


@pytest.mark.parametrize(("method", "before"), [("Narrow", []), ("NarrowLate", [b"first"])])
def test_a_scope_that_is_missing(
    method, before, serve, connect, tokenbind_kit, tokenbind_client, tokenbind_token, tokenbind_monitor
):
    """`require_scope` in a servicer is PERMISSION_DENIED, in the midst of a stream too, and reported once."""
    channel = connect(serve(), tokenbind_client)
    answer = call(channel, method, token=tokenbind_token)
    assert (DENIED, before) == (answer.code, answer.messages)
    [event] = tokenbind_monitor.refused
    assert (Reason.SCOPE_INSUFFICIENT, True) == (event.reason, event.reference in answer.details)
    assert 'scope="write"' in answer.trailing["www-authenticate"]
    answer = call(channel, method, token=tokenbind_kit.mint(tokenbind_client, scope="write"))
    assert [*before, b"done"] == answer.messages


def test_a_scope_that_every_call_needs(serve, connect, tokenbind_client, tokenbind_token, tokenbind_monitor):
    """`required_scopes` is asked for before any servicer, and reported once."""
    channel = connect(serve(required_scopes=("read",)), tokenbind_client)
    assert DENIED is call(channel, "Unknown", token=tokenbind_token).code
    assert [Reason.SCOPE_INSUFFICIENT] == [event.reason for event in tokenbind_monitor.refused]


def test_errors_of_the_servicer_are_its_own(serve, connect, tokenbind_client, tokenbind_token):
    """A status that it sets is its answer."""
    answer = call(connect(serve(), tokenbind_client), "Broken", token=tokenbind_token)
    assert (grpc.StatusCode.DATA_LOSS, "its own") == (answer.code, answer.details)


def test_exempt(serve, connect, tokenbind_client, tokenbind_monitor):
    """By method and path, compared exactly; a servicer that asks for a token all the same refuses the call, once."""
    exempt = {("POST", f"/test.Service/{method}") for method in ("Open", "WhoAmI", "Gone")}
    channel = connect(serve(exempt=exempt, end_streams=True), tokenbind_client)
    assert [b"open"] == call(channel, "Open").messages
    assert grpc.StatusCode.UNIMPLEMENTED is call(channel, "Gone").code
    assert [] == tokenbind_monitor.events
    answer = call(channel, "WhoAmI")
    assert (UNAUTHENTICATED, [Reason.TOKEN_MISSING]) == (
        answer.code,
        [event.reason for event in tokenbind_monitor.refused],
    )
    assert UNAUTHENTICATED is call(channel, "Narrow").code


class Hiding:
    """A context of another interceptor, which hands on what is public."""

    def __init__(self, context):
        self._own = context

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._own, name)


def with_behavior(handler, wrap):
    """*handler* with its behavior wrapped."""
    [kind] = [kind for kind in ("unary_unary", "stream_unary", "stream_stream") if getattr(handler, kind)]
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    return make(wrap(getattr(handler, kind)), handler.request_deserializer, handler.response_serializer)


class HidingInterceptor(grpc.ServerInterceptor):
    def intercept_service(self, continuation, details):
        def wrap(behavior):
            return lambda request, context: behavior(request, Hiding(context))

        return with_behavior(continuation(details), wrap)


class AsyncHidingInterceptor(grpc.aio.ServerInterceptor):
    async def intercept_service(self, continuation, details):
        def wrap(behavior):
            async def hidden(request, context):
                return await behavior(request, Hiding(context))

            return hidden

        return with_behavior(await continuation(details), wrap)


def test_other_interceptors(colour, serve, connect, tokenbind_client, tokenbind_stranger, tokenbind_token):
    """Before the guard and after it, each with a context of its own."""
    other = HidingInterceptor() if colour == "sync" else AsyncHidingInterceptor()
    port = serve(before=[other], after=[other])
    answer = call(connect(port, tokenbind_client), "WhoAmI", token=tokenbind_token)
    assert [tokenbind_client.thumbprint.encode()] == answer.messages
    assert UNAUTHENTICATED is call(connect(port, tokenbind_stranger), "WhoAmI", token=tokenbind_token).code


def test_the_context_is_a_context(colour, service, serve, connect, tokenbind_client, tokenbind_token):
    """For those who ask for its type; it has all the metadata, and it knows the token in any thread."""
    seen = []
    kind = grpc.ServicerContext if colour == "sync" else grpc.aio.ServicerContext

    def look(context):
        seen.append(dict(context.invocation_metadata())["x-k7qd2-cert"])
        thread = Thread(target=lambda: seen.append((isinstance(context, kind), bound_token(context).thumbprint)))
        thread.start()
        thread.join()
        return b"seen"

    async def look_async(_request, context):
        return look(context)

    service.Open = look_async if colour == "aio" else lambda _request, context: look(context)
    channel, metadata = connect(serve(), tokenbind_client), [("x-k7qd2-cert", "its own")]
    assert [b"seen"] == call(channel, "Open", token=tokenbind_token, metadata=metadata).messages
    assert ["its own", (True, tokenbind_client.thumbprint)] == seen


@pytest.mark.parametrize("context", [object(), Mock(), Mock(tokenbind={"token": "a string"})])
def test_without_an_interceptor(context):
    """A servicer that asks for a token fails, and says what is missing."""
    with pytest.raises(ConfigurationError, match=r"interceptors=\[BoundTokenInterceptor"):
        bound_token(context)


def test_arguments(verifier):
    """Those of the guard, and judged by it."""
    for interceptor in (BoundTokenInterceptor, AsyncBoundTokenInterceptor):
        assert "/x" in str(interceptor(verifier, TLSConnection(), exempt={("POST", "/x")}).guard._exempt)
        with pytest.raises(ConfigurationError, match="TokenVerifier"):
            interceptor("a verifier")


def test_a_context_that_does_not_abort(verifier):
    """As a test's might be: the servicer does not run all the same."""
    context = Mock(invocation_metadata=lambda: (), auth_context=dict, peer=lambda: "")
    interceptor = BoundTokenInterceptor(verifier)
    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: pytest.fail("it runs"))
    guarded = interceptor.intercept_service(lambda details: handler, Mock(method="/test.Service/WhoAmI"))
    with pytest.raises(Unavailable):
        guarded.stream_unary(iter([b""]), context)
    assert UNAVAILABLE is context.abort.call_args.args[0]
    interceptor = BoundTokenInterceptor(verifier, exempt={("POST", "/test.Service/WhoAmI")})
    guarded = interceptor.intercept_service(
        lambda details: grpc.unary_unary_rpc_method_handler(lambda request, context: bound_token(context)),
        Mock(method="/test.Service/WhoAmI"),
    )
    with pytest.raises(InvalidToken):
        guarded.stream_unary(iter([b""]), context)


def test_synchronous_methods_of_an_asynchronous_server(
    verifier, credentials, connect, tokenbind_client, tokenbind_token
):
    """grpcio would run them in threads; here they are refused before they run, and the message says why."""
    service = Service()
    with serving_async(service, verifier, credentials()) as port:
        answer = call(connect(port, tokenbind_client), "Open", token=tokenbind_token)
    assert grpc.StatusCode.UNKNOWN is answer.code
    assert "must be coroutines" in answer.details


@pytest.fixture(params=["expired", "revoked", "unavailable"])
def end(request, revocation, tokenbind_clock, tokenbind_client):
    """A way for the token to end: what does it, the reason, and the status."""

    def be_away():
        revocation.error = Unavailable(Reason.REVOCATION_UNAVAILABLE, "no news since yesterday")

    return {
        "expired": (lambda: tokenbind_clock.move(301), Reason.TOKEN_EXPIRED, UNAUTHENTICATED),
        "revoked": (
            lambda: revocation.revoke_certificate(tokenbind_client.thumbprint),
            Reason.TOKEN_REVOKED,
            UNAUTHENTICATED,
        ),
        "unavailable": (be_away, Reason.REVOCATION_UNAVAILABLE, UNAVAILABLE),
    }[request.param]


class Idle:
    """A call on which nobody says anything after the first message, if there is one."""

    def __init__(self, channel, method, token):
        self._silent = Event()
        streams = KINDS[method]
        self._answers_once = not streams[1]
        kind = f"{'stream' if streams[0] else 'unary'}_{'stream' if streams[1] else 'unary'}"
        make = getattr(channel, kind)(f"/test.Service/{method}")
        make = make if streams[1] else make.future
        requests = (self._silent.wait(DEADLINE_SECONDS) for _ in range(1))
        options = {"metadata": [("authorization", f"Bearer {token}")], "timeout": DEADLINE_SECONDS}
        self.call = make(requests if streams[0] else b"", **options)
        if streams[1]:
            assert b"first" == next(self.call)

    def wait(self):
        """Until it is over: the messages that still came, and the status."""
        messages = []
        try:
            if self._answers_once:
                with pytest.raises(grpc.RpcError):
                    self.call.result(DEADLINE_SECONDS)
            messages.extend(self.call)
        except grpc.RpcError:
            pass
        finally:
            self._silent.set()
        return Answer(messages, self.call)


@pytest.mark.parametrize("method", ["Idle", "IdleTotal", "IdleChat"])
def test_an_idle_stream_ends_with_its_token(
    method, end, colour, serve, service, connect, tokenbind_client, tokenbind_token, tokenbind_monitor, caplog
):
    """Nobody says anything, and it ends as if it were refused; the servicer hears of it."""
    act, reason, code = end
    idle = Idle(connect(serve(end_streams=True), tokenbind_client), method, tokenbind_token)
    until(lambda: tokenbind_monitor.accepted)
    act()
    answer = idle.wait()
    assert (code, []) == (answer.code, answer.messages)
    [event] = tokenbind_monitor.refused
    assert (reason, True) == (event.reason, event.reference in answer.details)
    assert f"(reference {event.reference})" in caplog.text
    until(lambda: service.events)
    assert ["over"] == service.events
    if colour == "aio" and code is UNAUTHENTICATED:
        assert "invalid_token" in answer.trailing["www-authenticate"]


def test_streams_go_on_by_default(
    serve, service, connect, verifier, tokenbind_client, tokenbind_token, tokenbind_clock, monkeypatch
):
    """Without the option, nobody asks again about the token of what has begun."""
    monkeypatch.setattr(verifier, "recheck", None)
    idle = Idle(connect(serve(), tokenbind_client), "Idle", tokenbind_token)
    tokenbind_clock.move(301)
    service.released.set()
    answer = idle.wait()
    assert (grpc.StatusCode.OK, [b"last"]) == (answer.code, answer.messages)


def test_a_stream_that_ends_in_time_is_complete(serve, connect, tokenbind_client, tokenbind_token, tokenbind_monitor):
    """The option changes nothing for it."""
    answer = call(connect(serve(end_streams=True), tokenbind_client), "Count", token=tokenbind_token)
    assert (grpc.StatusCode.OK, 3, []) == (answer.code, len(answer.messages), tokenbind_monitor.refused)
    assert ("greeting", "hello") in answer.initial


def test_a_client_that_leaves_takes_the_watch_with_it(
    serve, service, connect, revocation, tokenbind_client, tokenbind_token, tokenbind_monitor
):
    """Nobody asks about the token of a call that is over."""
    idle = Idle(connect(serve(end_streams=True), tokenbind_client), "Idle", tokenbind_token)
    idle.call.cancel()
    until(lambda: service.finished)
    until(lambda: not [thread for thread in enumerate_threads() if thread.name == "tokenbind-stream"])
    revocation.revoke_certificate(tokenbind_client.thumbprint)
    assert [] == tokenbind_monitor.refused


def test_a_stream_that_has_to_end_while_it_begins(
    colour, serve, connect, revocation, tokenbind_client, tokenbind_token, tokenbind_monitor
):
    """Its first message is still on its way to a client that does not listen; the status comes all the same."""
    channel = connect(serve(end_streams=True), tokenbind_client)
    metadata = [("authorization", f"Bearer {tokenbind_token}")]
    running = channel.unary_stream("/test.Service/Large")(b"", metadata=metadata, timeout=DEADLINE_SECONDS)
    until(lambda: tokenbind_monitor.accepted)
    revocation.revoke_certificate(tokenbind_client.thumbprint)
    until(lambda: tokenbind_monitor.refused)
    with pytest.raises(grpc.RpcError):
        assert [LARGE] == list(running)
    assert UNAUTHENTICATED is running.code()
    assert (colour == "sync") or "www-authenticate" in dict(running.trailing_metadata())


def test_where_the_reason_cannot_be_said(
    verifier, credentials, connect, revocation, tokenbind_client, tokenbind_token, tokenbind_monitor
):
    """A synchronous call ends, whatever stands before the guard; but the client sees CANCELLED."""
    service = Service()
    with serving(service, verifier, credentials(), before=[HidingInterceptor()], end_streams=True) as port:
        idle = Idle(connect(port, tokenbind_client), "IdleChat", tokenbind_token)
        revocation.revoke_certificate(tokenbind_client.thumbprint)
        assert grpc.StatusCode.CANCELLED is idle.wait().code
        until(lambda: service.events)
    assert ["over"] == service.events
    assert Reason.TOKEN_REVOKED is tokenbind_monitor.last_reason


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_revocation_list_that_breaks_ends_the_stream(
    colour, serve, service, connect, revocation, tokenbind_client, tokenbind_token
):
    """Whatever goes wrong in the watch, the call does not go on without it."""
    idle = Idle(connect(serve(end_streams=True), tokenbind_client), "Idle", tokenbind_token)
    revocation.error = ZeroDivisionError("broken")
    assert (grpc.StatusCode.CANCELLED if colour == "sync" else grpc.StatusCode.UNKNOWN) is idle.wait().code
    until(lambda: service.events)
    assert ["over"] == service.events


class Stubborn(AsyncService):
    """Goes on when it is cancelled, with what it still can do."""

    def __init__(self, form):
        super().__init__()
        self._form = form

    async def IdleChat(self, requests, context):  # noqa: N802
        await context.write(b"first")
        with suppress(asyncio.CancelledError):
            await self._wait_async()
        with suppress(OSError):
            await {
                "write": lambda: context.write(b"a secret"),
                "metadata": lambda: context.send_initial_metadata([("a", "secret")]),
                "read": context.read,
                "return": lambda: asyncio.sleep(0),
            }[self._form]()
            self.events.append("went on")


@pytest.mark.parametrize("form", ["write", "metadata", "read", "return"])
def test_a_servicer_that_does_not_let_itself_be_cancelled(
    form, verifier, credentials, connect, revocation, tokenbind_client, tokenbind_token, tokenbind_monitor
):
    """It has nobody to speak to; and the client is told why, whatever the servicer returns."""
    service = Stubborn(form)
    with serving_async(service, verifier, credentials(), end_streams=True) as port:
        idle = Idle(connect(port, tokenbind_client), "IdleChat", tokenbind_token)
        until(lambda: tokenbind_monitor.accepted)
        revocation.revoke_certificate(tokenbind_client.thumbprint)
        answer = idle.wait()
    assert (UNAUTHENTICATED, []) == (answer.code, answer.messages)
    assert ["over", *(["went on"] if form == "return" else [])] == service.events


def test_a_call_that_is_over_before_it_is_watched(verifier, tokenbind_kit, tokenbind_client, tokenbind_token):
    """No thread is started for it."""
    metadata = [("authorization", f"Bearer {tokenbind_token}")]
    certificates = {"x509_pem_cert": [tokenbind_client.pem.encode()]}
    context = Mock(invocation_metadata=lambda: metadata, auth_context=lambda: certificates, peer=lambda: "")
    context.add_callback = lambda callback: False
    handler = grpc.stream_stream_rpc_method_handler(lambda requests, context: requests)
    interceptor = BoundTokenInterceptor(verifier, end_streams=True)
    guarded = interceptor.intercept_service(lambda details: handler, Mock(method="/test.Service/Chat"))
    before = enumerate_threads()
    assert [b"a"] == list(guarded.stream_stream(iter([b"a"]), context))
    assert set() == set(enumerate_threads()) - set(before)
