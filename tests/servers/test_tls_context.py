"""`ReloadingSSLContext` in real handshakes: files rewritten under load, torn files, and a CA that is removed."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
import logging
import os
import socket
import ssl
from threading import Event, Thread

import pytest

from tokenbind import ConfigurationError
from tokenbind.servers.tls_context import ReloadingSSLContext

from .rotating_files import RotatingFiles, wait_for


DEADLINE_SECONDS = 20
VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=str)


@pytest.fixture
def files(tmp_path):
    return RotatingFiles(tmp_path)


@contextmanager
def serving(context):
    """Say ``ok`` to whoever connects, each connection in a thread of its own; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(16) as pool:

        def greet(connection):
            try:
                with context.wrap_socket(connection, server_side=True) as tls:
                    tls.sendall(b"ok")
                    tls.recv(1)  # until the client has gone
            except OSError:
                connection.close()

        def accept():
            while True:
                connection, _ = listener.accept()
                if stopping.is_set():
                    connection.close()
                    return
                connection.settimeout(DEADLINE_SECONDS)
                pool.submit(greet, connection)

        stopping, thread = Event(), Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stopping.set()
            socket.create_connection(listener.getsockname()).close()
            thread.join()


def greeting(port, context, session=None):
    """Connect; gives what the server says, the serial number of its certificate, and the session."""
    with (
        socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1", session=session) as tls,
    ):
        said = tls.recv(2)
        return said, tls.getpeercert()["serialNumber"], tls.session, tls.session_reused


def refused(port, context, session=None):
    """Whether the server does not let it in; with TLS 1.3 that shows at the first read."""
    try:
        return greeting(port, context, session)[0] == b""
    except OSError:
        return True


def test_a_rotation_under_load_fails_no_handshake(files):
    """Four clients connect without a pause while everything is swapped again and again, and see each certificate."""
    rotations, failed, seen, done = 20, [], set(), Event()

    def connect(context):
        while not done.is_set():
            try:
                said, serial, _, _ = greeting(port, context)
                seen.add(serial)
                assert b"ok" == said
            except Exception as error:  # noqa: BLE001 - whatever it is, it is a failure
                failed.append(error)

    with serving(files.reloading()) as port, ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(connect, files.client_context(files.clients))
        for _ in range(rotations):
            number = len(seen)
            files.rotate(files.clients, files.removed)
            wait_for(lambda number=number: failed or len(seen) > number)
        done.set()
    assert [] == failed
    assert len(seen) >= rotations


@VERSIONS
def test_a_removed_ca_is_refused_from_then_on(version, files):
    """At the next handshake, a resumed one too: the ticket ended with its context. The others come in as before."""
    good, gone = (files.client_context(ca, version) for ca in (files.clients, files.removed))
    with serving(files.reloading()) as port:
        _, first, session, _ = greeting(port, gone)
        assert greeting(port, gone, session)[3]  # it would be resumed
        files.rotate(files.clients)
        assert refused(port, gone)
        assert refused(port, gone, session)
        said, serial, session, _ = greeting(port, good)
        assert (b"ok", False) == (said, serial == first)
        assert greeting(port, good, session)[3]


def make_pipe(path):
    """Into which nobody ever writes: who reads it waits."""
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    "tear",
    [
        lambda files: files["tls.key"].write_bytes(b""),
        lambda files: files["tls.crt"].write_bytes(files["tls.crt"].read_bytes()[:200]),
        lambda files: files.ca.issue_cert("127.0.0.1").private_key_pem.write_to_path(files["tls.key"]),
        lambda files: files["ca.crt"].write_bytes(b"no certificate"),
        lambda files: (files.folder / "..data").unlink(),
        lambda files: make_pipe(files["ca.crt"].resolve()),
    ],
    ids=["empty key", "half a certificate", "another key", "no CA", "nothing there", "a pipe"],
)
def test_torn_files_change_nothing(tear, files, caplog):
    """The last good context serves on, one warning says so, without the key; what is good again counts again."""
    context, caplog.handler.level = files.reloading(), logging.INFO
    caplog.set_level(logging.INFO, "tokenbind")
    client = files.client_context(files.clients)
    with serving(context) as port:
        serial = greeting(port, client)[1]
        tear(files)
        assert {serial} == {greeting(port, client)[1] for _ in range(3)}
        assert ["WARNING"] == [record.levelname for record in caplog.records]
        files.rotate(files.clients)
        assert serial != greeting(port, client)[1]
    assert ["WARNING", "INFO"] == [record.levelname for record in caplog.records]
    assert "PRIVATE" not in caplog.text


def test_files_that_change_while_they_are_read_are_read_again(files):
    """What may be made of two generations is not taken: the next connection tries again."""
    made = []

    def make():
        made.append(None)
        if len(made) == 2:
            files.rotate(files.clients)
        return files.make()

    context, client = ReloadingSSLContext(make, files["tls.crt"], files["tls.key"]), files.client_context(files.clients)
    with serving(context) as port:
        first = greeting(port, client)[1]
        files.rotate(files.clients)
        assert first == greeting(port, client)[1]
        assert first != greeting(port, client)[1]
    assert 3 == len(made)


def test_one_connection_renews_and_the_others_do_not_wait(files):
    """While the files are read into a new context, others are served with the last one."""
    context = files.reloading()
    files.rotate(files.clients)
    with context._reloader._renewing, serving(context) as port:
        assert b"ok" == greeting(port, files.client_context(files.removed))[0]
        context._reloader._renewing.release()
        assert refused(port, files.client_context(files.removed))
        context._reloader._renewing.acquire()


def test_files_that_are_bad_at_first(files):
    """Then there is nothing to serve with, and the server does not start."""
    os.unlink(files["tls.key"])  # noqa: PTH108 - the link itself
    with pytest.raises(ConfigurationError, match="TLS files cannot be used"):
        files.reloading()


def test_nothing_can_be_set_on_it(files):
    """It would have no effect on what *make* makes."""
    with pytest.raises(ConfigurationError, match="verify_mode has to be set where the context is made"):
        files.reloading().verify_mode = ssl.CERT_NONE
