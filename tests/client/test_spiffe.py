"""`SpiffeIdentity` with a real Workload API on a Unix socket."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
import copy
from http.client import HTTPSConnection
import logging
import os
from pathlib import Path
import pickle
import re
import signal
from socket import AF_UNIX, socket
import ssl
import subprocess
import sys
from threading import enumerate as enumerate_threads

from cryptography import x509
import grpc
import pytest
from spiffe import X509BundleSet, X509Svid
from spiffe.workloadapi.x509_context import X509Context
import trustme

from tokenbind import ClientError, ConfigurationError, IdentityError, InvalidToken, PeerCertificate, Reason
from tokenbind.client import spiffe
from tokenbind.client.spiffe import SpiffeIdentity
from tokenbind.resource_server.asgi import BoundTokenMiddleware

from .workload_api import BILLING, REPORTS, WorkloadApi, bundle, messages, svid, until


SHORT_SECONDS = 0.3


def leaf_of(given):
    """The certificate of an SVID that has no chain."""
    return PeerCertificate.from_der(given.x509_svid)


def following():
    """The threads that follow a Workload API."""
    return [thread for thread in enumerate_threads() if thread.name == "tokenbind-spiffe"]


@contextmanager
def descriptors_are_given_back():
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield
    until(lambda: len(list(Path("/proc/self/fd").iterdir())) <= before)


@pytest.fixture(autouse=True)
def _brisk(monkeypatch):
    """A stream that broke is opened again soon."""
    monkeypatch.setattr(spiffe, "_FIRST_PAUSE_SECONDS", 0.01)


@pytest.fixture
def api(tmp_path):
    """A Workload API that knows this workload not yet."""
    api = WorkloadApi(tmp_path)
    api.start()
    yield api
    api.stop()
    assert [] == following()


@pytest.fixture
def ca():
    """The trust domain's."""
    return trustme.CA()


@pytest.fixture
def source(api, ca):
    """One that follows it, with a first SVID."""
    api.give(svid(ca))
    with SpiffeIdentity(api.path) as source:
        yield source


def test_the_first_svid(api, ca):
    """It is there when the source is made, and stays the same object."""
    api.give(given := svid(ca))
    with SpiffeIdentity(f"unix://{api.path}") as source:
        identity, anchors = source.current(), source.ca.current()

        assert leaf_of(given).thumbprint == identity.thumbprint
        assert BILLING == source.spiffe_id
        assert f"<SpiffeIdentity {BILLING}>" == repr(source)
        assert f"<trust bundle of <SpiffeIdentity {BILLING}>>" == repr(source.ca)
        assert source.current() is identity
        assert source.ca.current() is anchors
        assert bundle(ca) == ssl.PEM_cert_to_DER_cert(anchors.pem.decode())
        assert api.open == 1
    until(lambda: api.open == 0)


def test_the_socket_of_the_environment(api, ca, monkeypatch):
    """Where none is given, the one that SPIFFE has a variable for."""
    api.give(svid(ca))
    monkeypatch.setenv("SPIFFE_ENDPOINT_SOCKET", f"unix://{api.path}")
    with SpiffeIdentity() as source:
        assert BILLING == source.spiffe_id


def test_a_new_svid_is_a_new_identity(api, ca, source):
    """The one before stays as it was, with its contexts."""
    old = source.current()
    context = old.ssl_context(source.ca.current().pem)
    for _ in range(5):
        before = source.current()
        api.give(given := svid(ca))
        new = until(lambda before=before: (now := source.current()) is not before and now)

        assert leaf_of(given).thumbprint == new.thumbprint
        assert before.generation < new.generation
    assert old.thumbprint != new.thumbprint
    assert context is old.ssl_context(source.ca.current().pem)
    assert context is not new.ssl_context(source.ca.current().pem)


def test_what_was_sent_before_changes_nothing(api, ca, source):
    """An agent sends everything again, and two updates may differ in one thing only."""
    identity, anchors, other = source.current(), source.ca.current(), trustme.CA()
    api.give(first := svid(ca))
    identity = until(lambda: (now := source.current()) is not identity and now)
    assert source.ca.current() is anchors

    first.bundle = bundle(ca, other)
    api.give(first)
    both = until(lambda: (now := source.ca.current()) is not anchors and now)
    assert source.current() is identity
    assert both.number > anchors.number
    assert 2 == both.pem.count(b"-----BEGIN CERTIFICATE-----")

    before = source._given
    first.bundle = bundle(other, ca)
    elsewhere = svid(trustme.CA(), "spiffe://elsewhere.example/reports")
    svids = [first, svid(ca, REPORTS, bundle=first.bundle), elsewhere]
    federated = {"spiffe://partner.example": bundle(trustme.CA())}
    api.answer(messages.X509SVIDResponse(svids=svids, federated_bundles=federated))
    until(lambda: source._given is not before)
    assert source.current() is identity
    assert source.ca.current() is both


def test_a_token_of_the_certificate_before(api, tokenbind_kit, tokenbind_server):
    """Real TLS: the chain is sent, the bundle vouches for the server, and the old token is worth nothing any more."""
    intermediate = tokenbind_kit.ca.create_child_ca()
    chain = [x509.load_pem_x509_certificate(intermediate.cert_pem.bytes())]
    root = bundle(tokenbind_kit.ca)

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["tokenbind.token"].thumbprint.encode()})

    server = tokenbind_server(BoundTokenMiddleware(app, tokenbind_kit.verifier))

    def get(identity, token):
        context = identity.ssl_context(source.ca.current().pem)
        connection = HTTPSConnection("127.0.0.1", server.port, context=context, timeout=20)
        try:
            connection.request("GET", "/", headers={"Authorization": f"Bearer {token}"})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def mint(identity):
        return tokenbind_kit.issuer.mint(identity.certificate, client_id="billing", audience=tokenbind_kit.audience)

    api.give(svid(intermediate, chain=chain, bundle=root))
    with SpiffeIdentity(api.path) as source:
        old = source.current()
        old_token = mint(old)
        assert (200, old.thumbprint) == get(old, old_token)

        api.give(svid(intermediate, chain=chain, bundle=root))
        new = until(lambda: (now := source.current()) is not old and now)
        assert (200, new.thumbprint) == get(new, mint(new))
        assert 401 == get(new, old_token)[0]
        assert Reason.CERTIFICATE_MISMATCH is tokenbind_kit.monitor.events[-1].reason
        with pytest.raises(InvalidToken) as refused:
            tokenbind_kit.verifier.verify(old_token, new.certificate)
        assert Reason.CERTIFICATE_MISMATCH is refused.value.reason

        anchors = source.ca.current()
        api.give(svid(intermediate, chain=chain, bundle=bundle(trustme.CA())))
        until(lambda: source.ca.current() is not anchors)
        with pytest.raises(ssl.SSLCertVerificationError):
            get(new, mint(new))


def test_the_agent_goes_away_and_comes_back(api, ca, source, caplog):
    """Meanwhile the last SVID serves, and the log says so once; and when it is over."""
    caplog.set_level(logging.INFO, "tokenbind")
    identity = source.current()
    with descriptors_are_given_back():
        for _ in range(3):
            api.stop()
            until(lambda: source._failure)
            assert source.current() is identity
            api.give(svid(ca))
            api.start()
            identity = until(lambda before=identity: (now := source.current()) is not before and now)
            assert None is source._failure
    over = f"the SPIFFE Workload API at unix:{api.path} can be followed again"
    until(lambda: 3 == caplog.messages.count(over))
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) >= 3
    assert all(f"the last SVID serves on, until {identity.not_after:%Y-%m-%d}" in text for text in told)
    assert any("(StatusCode.UNAVAILABLE)" in text for text in told)


def test_an_agent_that_is_slow_to_start(api, ca):
    """It is waited for: neither its socket nor an entry for this workload need be there before."""
    api.stop()
    with ThreadPoolExecutor(1) as threads:
        made = threads.submit(SpiffeIdentity, api.path)
        api.start()
        until(lambda: api.asked > 1)
        assert not made.done()
        api.give(svid(ca))
        with made.result() as source:
            assert BILLING == source.spiffe_id


def test_a_stream_that_ends(api, ca, source):
    """An agent may end it at any time, in good order or with any error; another stream is opened."""
    identity = source.current()
    for answer in (
        None,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.PERMISSION_DENIED,
    ):
        asked = api.asked
        api.answer(answer)
        until(lambda asked=asked: api.asked > asked)
        assert source.current() is identity
        api.give(svid(ca))
        identity = until(lambda before=identity: (now := source.current()) is not before and now)


def test_an_agent_that_is_silent(api, ca, caplog):
    """That is told, and what it says in the end is heard."""
    api.give(svid(ca))
    with SpiffeIdentity(api.path, timeout_seconds=5) as source:
        identity, source._patience = source.current(), 0.01
        api.silent = True
        api.answer(None)
        until(lambda: source._failure == "it does not answer")
        assert source.current() is identity
        assert "cannot be followed; the last SVID serves on" in caplog.text
        asked = api.asked
        api.give(svid(ca))
        until(lambda: source.current() is not identity)
        assert asked == api.asked


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [(None, BILLING), (BILLING, BILLING), (REPORTS, REPORTS), (REPORTS.replace("example", "EXAMPLE"), REPORTS)],
)
def test_which_of_two_svids(api, ca, wanted, expected):
    """The first is the default (SPIFFE Workload API, §5.3)."""
    both = {BILLING: svid(ca), REPORTS: svid(ca, REPORTS)}
    api.give(*both.values())
    with SpiffeIdentity(api.path, spiffe_id=wanted) as source:
        assert expected == source.spiffe_id
        assert leaf_of(both[expected]).thumbprint == source.current().thumbprint


def test_an_svid_that_this_workload_has_no_more(api, ca):
    """Another one does not take its place."""
    api.give(svid(ca, REPORTS), svid(ca))
    with SpiffeIdentity(api.path, spiffe_id=BILLING) as source:
        identity = source.current()
        api.give(svid(ca, REPORTS))
        assert f"has no SVID for {BILLING}, but {REPORTS}" in until(lambda: source._failure)
        assert source.current() is identity

    with pytest.raises(IdentityError, match=f"has no SVID for {BILLING}, but {REPORTS}"):
        SpiffeIdentity(api.path, spiffe_id=BILLING, timeout_seconds=SHORT_SECONDS)


def junk(ca):
    """Messages that must not be used, by what is wrong with them."""
    other, good = svid(ca), svid(ca)
    return {
        "no SVID": [],
        "chain": [svid(ca, x509_svid=b"junk")],
        "no chain": [svid(ca, x509_svid=b"")],
        "half a chain": [svid(ca, x509_svid=good.x509_svid[:-1])],
        "more than a chain": [svid(ca, x509_svid=good.x509_svid + b"0")],
        "not a SPIFFE ID": [svid(ca, "https://example.org/billing")],
        "a SPIFFE ID without a path": [svid(ca, "spiffe://example.org")],
        "a CA": [svid(ca, x509_svid=bundle(ca))],
        "key": [svid(ca, x509_svid_key=b"junk")],
        "another's key": [svid(ca, x509_svid_key=other.x509_svid_key)],
        "bundle": [svid(ca, bundle=b"junk")],
        "no bundle": [svid(ca, bundle=b"")],
        "one of two": [good, svid(ca, REPORTS, x509_svid_key=b"junk")],
    }


@pytest.mark.parametrize("what", junk(trustme.CA()))
def test_junk(api, ca, source, what, caplog):
    """It changes nothing, is told once, and what comes after it is used."""
    identity, anchors, asked = source.current(), source.ca.current(), api.asked
    api.give(*junk(ca)[what])
    until(lambda: api.asked > asked + 1)
    assert source.current() is identity
    assert source.ca.current() is anchors
    api.give(svid(ca))
    until(lambda: source.current() is not identity)
    assert 1 == len([record for record in caplog.records if record.name == "tokenbind"])


def test_an_svid_without_a_bundle(ca, source):
    """It changes nothing: no server would be trusted, or any. The package has always put one in, so far."""
    before, given = source._given, svid(ca)
    context = X509Context([X509Svid.parse_raw(given.x509_svid, given.x509_svid_key)], X509BundleSet(None))
    with pytest.raises(ConfigurationError):
        source._take(context)
    assert source._given is before


def test_junk_at_the_beginning(api, ca):
    """It is an error that says what is wrong, and shows nothing of the key."""
    api.give(*junk(ca)["another's key"])
    message = f"no SVID from the Workload API at unix:{api.path} in 0.3 s: the private key does not belong to the"
    with pytest.raises(IdentityError, match=re.escape(message)):
        SpiffeIdentity(api.path, timeout_seconds=SHORT_SECONDS)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "no SVID for this workload; is an entry registered that selects it"),
        (grpc.StatusCode.UNIMPLEMENTED, "what answers there is no Workload API"),
        (grpc.StatusCode.INTERNAL, "INTERNAL"),
        (None, "ended"),
    ],
)
def test_no_svid_at_the_beginning(api, answer, why):
    """The error names the socket and the reason."""
    api.answer(answer)
    with pytest.raises(IdentityError, match=why) as caught:
        SpiffeIdentity(api.path, timeout_seconds=SHORT_SECONDS)

    assert isinstance(caught.value, ClientError)
    assert Reason.IDENTITY_UNUSABLE is caught.value.reason
    assert f"unix:{api.path}" in str(caught.value)


def test_nobody_at_the_socket(tmp_path, monkeypatch):
    """The error says which socket, or how to name one."""
    monkeypatch.delenv("SPIFFE_ENDPOINT_SOCKET", raising=False)
    with pytest.raises(IdentityError, match="SPIFFE_ENDPOINT_SOCKET"):
        SpiffeIdentity()
    with pytest.raises(IdentityError, match=r"nothing\.sock.*does not exist"):
        SpiffeIdentity(tmp_path / "nothing.sock", timeout_seconds=SHORT_SECONDS)
    with socket(AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "deaf.sock"))
        with pytest.raises(IdentityError, match=r"deaf\.sock in 0.3 s: no agent answers there"):
            SpiffeIdentity(tmp_path / "deaf.sock", timeout_seconds=SHORT_SECONDS)
        deaf.listen()
        with pytest.raises(IdentityError, match=r"deaf\.sock in 0.3 s: it does not answer"):
            SpiffeIdentity(tmp_path / "deaf.sock", timeout_seconds=SHORT_SECONDS)
    assert [] == following()


@pytest.mark.parametrize("wrong", ["tcp://127.0.0.1:8081", "tcp:127.0.0.1:8081", "https://example.org/api.sock"])
def test_a_socket_that_is_none(wrong, monkeypatch):
    """Only a Unix socket lets the agent see who asks."""
    with pytest.raises(ConfigurationError, match="must be a Unix socket"):
        SpiffeIdentity(wrong)
    monkeypatch.setenv("SPIFFE_ENDPOINT_SOCKET", wrong)
    with pytest.raises(ConfigurationError, match="must be a Unix socket"):
        SpiffeIdentity()


@pytest.mark.parametrize("wrong", ["", "billing", "https://example.org/billing", "spiffe://example.org/a b"])
def test_a_spiffe_id_that_is_none(api, wrong):
    """It would never be found."""
    with pytest.raises(ConfigurationError, match="spiffe_id="):
        SpiffeIdentity(api.path, spiffe_id=wrong)


def test_without_the_package(monkeypatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "spiffe", None)
    with pytest.raises(ConfigurationError, match=r"install tokenbind\[spiffe\]"):
        SpiffeIdentity("/nowhere.sock")


def test_an_svid_at_its_end(api, ca):
    """It serves no longer than that, and the error says what became of its successor."""
    api.give(svid(ca, days=-1))
    with SpiffeIdentity(api.path) as source:
        with pytest.raises(IdentityError, match=r"expired at .*agent\.sock has sent no other"):
            source.current().require_valid()
        api.stop()
        until(lambda: source._failure)
        with pytest.raises(IdentityError, match=r"expired at .*agent\.sock cannot be followed: (no agent|.*not exist)"):
            source.current().require_valid()
        api.give(svid(ca))
        api.start()
        until(lambda: source._failure is None)
        source.current().require_valid()


def test_an_svid_that_is_not_valid(api, ca, source):
    """It does not take the place of one that is; if it is early, it does when its time has come."""
    identity = source.current()
    api.give(svid(ca, days=-1))
    assert "expired at" in until(lambda: source._failure)
    assert source.current() is identity


def test_after_close(api, source):
    """Nothing is followed any more, so nothing is given."""
    ca = source.ca
    with ThreadPoolExecutor(8) as threads:
        assert 8 == len([threads.submit(source._start) for _ in range(8)])
    assert 1 == len(following())
    for _ in range(2):
        source.close()
        until(lambda: api.open == 0)
        for use in (source.current, ca.current, lambda: source.spiffe_id):
            with pytest.raises(IdentityError, match="closed"):
                use()
    assert "<SpiffeIdentity closed>" == repr(source)
    assert None is source._follow(source._closing)
    assert 1 == api.asked


def test_it_is_not_copied(source):
    """A copy would share the thread, a pickle would hold the key."""
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            copied(source)


@pytest.fixture
def inherited(api, source):
    """As a child has it after a fork, only that here the thread of the parent is still there."""
    closing, updates = source._closing, source._updates
    source._be_born()
    yield source
    closing.set()
    updates.put(None)
    until(lambda: len(following()) == 1 - source._closing.is_set())


def test_what_a_child_is_born_with(api, ca, inherited):
    """The last SVID, and at the first use a thread of its own."""
    identity = inherited.current()
    until(lambda: api.open == 2)
    api.give(svid(ca))
    until(lambda: inherited.current() is not identity)


def test_a_child_in_which_grpc_does_not_work(api, inherited, caplog):
    """It looks as if the agent was silent; the log says what it may be."""
    api.silent, inherited._patience = True, 0.01
    identity = inherited.current()
    until(lambda: "unset GRPC_ENABLE_FORK_SUPPORT" in caplog.text)
    assert inherited.current() is identity


def test_a_child_that_closes_it(api, inherited):
    """It has opened nothing, and leaves alone what its parent has open."""
    inherited.close()
    assert (1, 1) == (api.open, api.asked)
    with pytest.raises(IdentityError, match="closed"):
        inherited.current()


FORKING = """
import os, sys, time
from tokenbind.client.spiffe import SpiffeIdentity

source = SpiffeIdentity(sys.argv[1])
identity, children = source.current(), []
while len(children) < 3:
    children.append(os.fork())
    if children[-1] == 0:
        children = []
        break
assert source.current() is identity
while (now := source.current()) is identity:
    time.sleep(0.01)
os.write(1, now.thumbprint.encode() + b"\\n")
for child in children:
    assert os.waitpid(child, 0)[1] == 0
source.close()
"""


def test_after_a_fork(api, ca):
    """Parent and children each follow the Workload API, over connections of their own."""
    api.give(svid(ca))
    command = [sys.executable, "-c", FORKING, str(api.path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, start_new_session=True, **pipes) as process:
        try:
            until(lambda: api.open == 4)
            api.give(given := svid(ca))
            printed, errors = process.communicate(timeout=60)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert 0 == process.returncode, errors
    assert 4 * [leaf_of(given).thumbprint] == printed.split()
