"""What is `requests`' own: exceptions, hooks, retries, bodies; the rest is asked of every client."""

from io import BytesIO, UnsupportedOperation
import pickle
from traceback import TracebackException
from types import SimpleNamespace

import pytest
import requests
import urllib3
from urllib3.util import Retry

from tokenbind import GrantError, OriginRefused
from tokenbind.client.requests import BoundTokenAdapter, BoundTokenSession

from .serving import STREAMED, Recorder, wait_until


@pytest.fixture
def session(api, client, grant):
    """Ours."""
    with BoundTokenSession(client.identity, grant, origin=api.url, ca=api.kit.ca_pem) as session:
        yield session


class Scripted(Recorder):
    """A server that gives these answers, one after the other, and then what every recorder says."""

    def __init__(self, ca, *answers):
        super().__init__(ca)
        self._answers = list(answers)

    def converse(self, connection):
        connection.sendall(self._answers.pop(0) if self._answers else self._answer)


def session_for(api, grant, client, server, **options):
    return BoundTokenSession(client.identity, grant, origin=server.url, ca=api.kit.ca_pem, **options)


def test_what_we_raise_is_a_request_exception_too(session, grant, api):
    """With everything that the server said, and the request; it is pickled as what it is without requests."""
    grant.failure = GrantError("invalid_client", "who are you", 401)
    with pytest.raises(GrantError) as caught:
        session.get(api.url)

    assert isinstance(caught.value, requests.RequestException)
    assert ("invalid_client", "who are you", 401) == (caught.value.error, caught.value.description, caught.value.status)
    assert caught.value.request.url == f"{api.url}/"
    restored = pickle.loads(pickle.dumps(caught.value))
    assert (GrantError, "invalid_client") == (type(restored), restored.error)


@pytest.mark.parametrize("answer", [None, b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"no HTTP\r\n\r\n"])
def test_an_exception_carries_the_request_without_the_token(api, client, grant, answer):
    """Whoever logs it logs no token: there is no connection, no answer in time, half of one, or something else."""
    with Scripted(api.kit.ca, answer) as server, session_for(api, grant, client, server) as session:
        options = {"proxies": {"https": "http://127.0.0.1:1"}} if answer is None else {"timeout": (20, 0.2)}
        with pytest.raises(requests.RequestException) as caught:
            session.get(server.url, **options)
        assert (answer is None) == (not server.heads)
    assert "authorization" not in getattr(caught.value.request, "headers", {})
    assert "Bearer" not in repr(vars(caught.value))
    if not urllib3.__version__.startswith("2.2."):  # which makes another text of the header
        shown = "".join(TracebackException.from_exception(caught.value, capture_locals=True).format())
        assert "eyJ" not in shown  # as every JWT begins


def test_hooks_see_the_last_answer_and_no_token(session, api):
    """Once, whether the request was sent twice or not; what they send again is checked again, as the first was."""
    seen = []

    def hook(response, **_):
        seen.append((response.status_code, response.content))
        elsewhere = requests.Request("GET", "https://127.0.0.1:1/").prepare()
        with pytest.raises(OriginRefused):
            response.connection.send(elsewhere)
        again = response.connection.send(response.request)
        assert "authorization" not in again.request.headers
        return again

    prepared = session.prepare_request(requests.Request("GET", f"{api.url}/refuse-once", hooks={"response": hook}))
    response = session.send(prepared)
    assert ([(200, b"client")], b"client") == (seen, response.content)
    assert response.request is prepared
    assert ([401, 200, 200], []) == ([one.status for one in api.seen], response.history)


@pytest.mark.parametrize("options", [{"verify": False}, {"cert": "x.pem"}, {"cert": ("x.pem", "x.key")}])
def test_foreign_tls_settings_are_refused(session, api, options):
    """They would silently be something else than what was asked for; a path in ``verify=`` may be the environment's."""
    with pytest.raises(requests.RequestException, match="refused"):
        session.get(api.url, **options)
    assert [] == api.seen
    assert 200 == session.get(api.url, verify="no-such.pem").status_code


@pytest.mark.parametrize("answer", ["200 OK", "401 Unauthorized"])
def test_an_adapter_mounted_on_its_origin_alone(api, client, grant, answer, tmp_path):
    """A foreign host is then the business of requests: it gets the request, and nothing of ours, whatever it says."""
    (tmp_path / "ca.pem").write_bytes(api.kit.ca_pem)
    answer = f"HTTP/1.1 {answer}\r\nWWW-Authenticate: Bearer error=invalid_token\r\nContent-Length: 0\r\n\r\n"
    with Recorder(api.kit.ca, answer=answer.encode()) as foreign, requests.Session() as session:
        session.trust_env, session.verify = False, str(tmp_path / "ca.pem")
        session.mount(f"{api.url}/", BoundTokenAdapter(client.identity, grant, origin=api.url, ca=api.kit.ca_pem))
        session.get(f"{api.url}/redirect?{foreign.url}/x")

        assert ["GET /x"] == [head.partition(" HTTP")[0] for head in foreign.heads]
        assert ([], False) == (foreign.certificates, "authorization" in foreign.heads[0].lower())
        assert 1 == len(grant.asked)


def test_an_adapter_mounted_on_a_prefix_is_not_fooled(api, client, grant):
    """``https://127.0.0.1`` is also the beginning of other ports, and of other hosts."""
    with Recorder(api.kit.ca) as foreign, requests.Session() as session:
        session.mount("https://127.0.0.1", BoundTokenAdapter(client.identity, grant, origin=api.url, ca=api.kit.ca_pem))
        for url in (
            foreign.url,
            f"https://127.0.0.1.evil.org:{api.server.port}",
            f"{api.url}@localhost:{foreign.port}",
        ):
            with pytest.raises(OriginRefused):
                session.get(url)
        assert (0, []) == (foreign.connections, api.seen)
        assert 200 == session.get(api.url).status_code


@pytest.mark.parametrize("retry_after", ["21600", "Fri, 31 Dec 2100 23:59:59 GMT", "7"])
def test_nobody_sleeps_for_hours(api, client, grant, monkeypatch, retry_after):
    """urllib3 waits up to six, and before 2.6 as long as it is told to. A class of the caller's is still asked."""
    slept = []
    monkeypatch.setattr("urllib3.util.retry.time", SimpleNamespace(sleep=slept.append, time=lambda: 0))

    class Counting(Retry):
        incremented = 0

        def increment(self, *args, **options):
            Counting.incremented += 1
            return super().increment(*args, **options)

    busy = f"HTTP/1.1 429 x\r\nRetry-After: {retry_after}\r\nContent-Length: 0\r\n\r\n".encode()
    for retries in (Retry(2), Counting(2)):
        with Scripted(api.kit.ca, busy, busy) as server:
            with session_for(api, grant, client, server, max_retries=retries) as session:
                assert 200 == session.get(server.url).status_code
            assert 3 == len(server.heads)
        assert 2 == retries.total
    assert [min(60, int(retry_after) if retry_after.isdecimal() else 60)] * 4 == slept
    assert 2 == Counting.incremented


class Leaving(Scripted):
    """Leaves after the first answer, or instead of it."""

    def converse(self, connection):
        if len(self.heads) > 1 or self._answers:
            super().converse(connection)
        if len(self.heads) == 1:
            connection.close()


def test_by_default_nothing_is_retried(api, client, grant):
    """As in requests: a connection that ends before the answer is an error."""
    for retries in (0, 1):
        with Leaving(api.kit.ca) as server, session_for(api, grant, client, server, max_retries=retries) as session:
            if retries:
                assert 200 == session.get(server.url).status_code
            else:
                with pytest.raises(requests.ConnectionError):
                    session.get(server.url)


def test_a_file_is_sent_again_from_where_it_began(session, api, tmp_path):
    """One in memory, one on the disk, from its beginning or not."""
    (tmp_path / "body").write_bytes(b"0123456789")
    for offset in (0, 4):
        with (tmp_path / "body").open("rb") as file:
            for body in (BytesIO(b"0123456789"), file):
                api.begin()
                body.seek(offset)
                assert 200 == session.post(f"{api.url}/refuse-once", data=body).status_code
                assert [b"0123456789"[offset:]] * 2 == [seen.body for seen in api.seen]
                session.get_adapter("https://")._chooser._tokens._no_rejection_until.clear()


@pytest.mark.parametrize("problem", [UnsupportedOperation, ValueError])
def test_what_cannot_be_rewound_is_not_sent_again(session, api, problem):
    """As the answer of another server that is passed on, or a file that is closed meanwhile: the 401 stands."""

    class Stream(BytesIO):
        def seek(self, *_):
            raise problem

    request = requests.Request("POST", f"{api.url}/refuse-once", data=BytesIO(b"body"))
    prepared = session.prepare_request(request)
    prepared.body = Stream(b"body")
    response = session.send(prepared)
    assert (401, b"refused") == (response.status_code, response.content)
    assert [b"body"] == [seen.body for seen in api.seen]


def test_text_is_sent_again(session, api):
    """It was encoded by requests."""
    assert 200 == session.post(f"{api.url}/refuse-once", data="b\u00f6dy").status_code
    assert ["b\u00f6dy".encode()] * 2 == [seen.body for seen in api.seen]


def test_an_endless_refusal_is_not_read_to_its_end(api, client, grant):
    """The connection is given up instead; a short one is kept."""
    refusal = b"HTTP/1.1 401 x\r\nContent-Length: %d\r\n\r\n"
    for size, connections in ((10**8, 2), (9, 1)):
        with Scripted(api.kit.ca, refusal % size + bytes(min(size, 100_000))) as server:
            with session_for(api, type(grant)(api.kit), client, server) as session:
                assert 200 == session.get(server.url, stream=True, timeout=5).status_code
            assert (2, connections) == (len(server.heads), server.connections)


def test_closing_twice_and_calling_after_that(session, api):
    """As with requests: a closed session opens new connections when it is used."""
    streamed = session.get(f"{api.url}/stream", stream=True)
    session.close()
    session.close()
    assert b"".join(STREAMED) == streamed.content
    assert 200 == session.get(api.url).status_code
    session.close()
    wait_until(lambda: api.connections == 0)


def test_an_upload_without_a_length(session, api):
    """Piece by piece."""
    assert 200 == session.post(api.url, data=iter([b"bo", b"dy"])).status_code
    assert [b"body"] == [seen.body for seen in api.seen]


def test_neither_adapter_nor_session_is_pickled(session):
    """They hold a private key; the parts that hold it neither."""
    adapter = session.get_adapter("https://x")
    for thing in (session, adapter, adapter._chooser, adapter._chooser._tokens):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(thing)


def test_a_refusal_that_breaks_off_is_no_more_than_a_refusal(api, client, grant):
    """Its body does not matter; the request is sent once more, over a new connection."""
    with Leaving(api.kit.ca, b"HTTP/1.1 401 x\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n") as server:
        with session_for(api, grant, client, server) as session:
            assert 200 == session.get(server.url).status_code
    assert (2, 2) == (len(server.heads), server.connections)


def test_connections_are_kept_for_as_many_threads_as_one_says(api, client, grant):
    """Of each certificate; ten, if nothing is said, as in requests."""
    with BoundTokenSession(client.identity, grant, origin=api.url, ca=api.kit.ca_pem, pool_maxsize=2) as session:
        streams = [session.get(f"{api.url}/stream", stream=True) for _ in range(3)]
        for stream in streams:
            assert b"".join(STREAMED) == stream.content
        wait_until(lambda: api.connections == 2)


def test_an_answer_that_is_kept_keeps_no_connection(api, source, grant, renewed):
    """Of a certificate that is over: urllib3's pool lives as long as an answer of it."""
    with BoundTokenSession(source, grant, origin=api.url, ca=api.kit.ca_pem) as session:
        kept = [session.get(api.url)]
        source.client = renewed
        wait_until(lambda: kept.append(session.get(api.url)) or api.seen[-1].thumbprint == renewed.thumbprint)
        wait_until(lambda: api.connections == 1)
        assert {200} == {answer.status_code for answer in kept}
