"""Certificates that are rotated, and the ways in which their files are written."""

from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
import os
from pathlib import Path
import ssl
import threading
import warnings

import pytest


DEADLINE_SECONDS = 20


class Clock:
    """Stands for `time.monotonic`, `time.time` and `time.sleep`."""

    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        """So time goes by."""
        self.now += seconds


class Pair:
    """A certificate with its chain, and its key."""

    def __init__(self, ca, valid_from=-1, valid_to=1, **options):
        now = datetime.now(timezone.utc)
        dates = {"not_before": now + timedelta(days=valid_from), "not_after": now + timedelta(days=valid_to)}
        leaf = ca.issue_cert("client.example", **dates, **options)
        self.blocks = [pem.bytes() for pem in leaf.cert_chain_pems]
        self.chain, self.key = b"".join(self.blocks), leaf.private_key_pem.bytes()
        self.der = ssl.PEM_cert_to_DER_cert(self.blocks[0].decode())

    @property
    def bundle(self):
        """Both, the key first, so that the end of the chain is what a cut takes."""
        return self.key + self.chain


class Layout:
    """Files in a folder; *write* writes a pair."""

    names = ("tls.crt", "tls.key")

    def __init__(self, folder, pair):
        self.files = [folder / name for name in self.names]
        self.folder, self.count = folder, 0
        self.begin()
        self.write(pair)
        for file in self.files:
            file.chmod(0o600)

    def begin(self):
        """What is there before the first pair."""

    def contents(self, pair):
        return (pair.chain, pair.key)

    def write(self, pair):
        raise NotImplementedError


class Kubernetes(Layout):
    """A volume of a Secret: links into a folder that is swapped as a whole."""

    def begin(self):
        for file in self.files:
            file.symlink_to(Path("..data") / file.name)

    def write(self, pair):
        self.count += 1
        data = self.folder / f"..{self.count}"
        data.mkdir()
        for file, content in zip(self.files, self.contents(pair), strict=True):
            (data / file.name).write_bytes(content)
            (data / file.name).chmod(0o600)
        (self.folder / "..new").symlink_to(data.name)
        (self.folder / "..new").replace(self.folder / "..data")


class Replaced(Layout):
    """As cert-manager's CSI driver, certbot or careful scripts do: each file at once, one after the other."""

    def write(self, pair):
        for file, content in zip(self.files, self.contents(pair), strict=True):
            new = file.with_suffix(".new")
            new.write_bytes(content)
            new.chmod(0o600)
            new.replace(file)


class InPlace(Layout):
    """As spiffe-helper and many scripts do: truncated, and written piece by piece."""

    def write(self, pair):
        for file, content in zip(self.files, self.contents(pair), strict=True):
            with file.open("wb", buffering=0) as stream:
                for block in content.splitlines(keepends=True):
                    stream.write(block)


class Bundle(InPlace):
    """The same with one file for both."""

    names = ("bundle.pem",)

    def contents(self, pair):
        return (pair.bundle,)


LAYOUTS = [Kubernetes, Replaced, InPlace, Bundle]


@contextmanager
def writing(write, count, pause_seconds=0.005):
    """Call *write* so many times in a thread, with pauses; gives a function that says whether it goes on."""

    def work():
        for number in range(count):
            write(number)
            threading.Event().wait(pause_seconds)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield thread.is_alive
    finally:
        thread.join()


def wait_for(condition):
    for _ in range(DEADLINE_SECONDS * 100):
        if condition():
            return
        threading.Event().wait(0.01)
    pytest.fail("it has not come to pass in time")


def forked(check):
    """Whether *check* says so in a child."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # there are other threads; that is the point
        child = os.fork()
    if not child:
        try:
            os._exit(0 if check() else 3)
        finally:
            os._exit(4)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def presented(context, ca):
    """The certificates that a server sees in a TLS handshake with a client of this context, as DER."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=ca.cert_pem.bytes().decode())
    server.verify_mode = ssl.CERT_REQUIRED
    ca.issue_cert("api.example").configure_cert(server)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        context.wrap_bio(to_client, to_server, server_hostname="api.example"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
    return [ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in ends[1]._sslobj.get_unverified_chain()]
