"""The uvicorn shim as `install()`, its classes by name, and uvicorns that have not what it needs."""

import sys
from types import ModuleType

import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol

from tokenbind import ConfigurationError, Reason
from tokenbind.servers import uvicorn as shim


@pytest.fixture
def fake_uvicorn(monkeypatch):
    """A module whose classes are the only ones that the shim knows of; real ones, so that they can be served with."""
    module = ModuleType("fake_uvicorn")
    module.H11 = type("H11", (H11Protocol,), {})
    module.NoWebsocketLibrary = None
    module.Closed = type("Closed", (), {})
    monkeypatch.setitem(sys.modules, "fake_uvicorn", module)

    def know(*targets):
        monkeypatch.setattr(shim, "_CLASSES", {target: target for target in targets})
        return module

    return know


def test_install_teaches_the_classes_themselves(
    fake_uvicorn, serve, connect, context, bearer, tokenbind_client, tokenbind_stranger, tokenbind_monitor
):
    """`install` changes what can be imported and skips the rest; a second time changes nothing."""
    module = fake_uvicorn("fake_uvicorn:H11", "fake_uvicorn:NoWebsocketLibrary", "not_there:X")
    shim.install()
    taught = module.H11.connection_made
    shim.install()
    assert taught is module.H11.connection_made
    port, headers = serve(http=module.H11), bearer(tokenbind_client)
    answer = connect(port, context(tokenbind_client)).get("/", headers=headers)
    assert (200, tokenbind_client.thumbprint) == (answer.status_code, answer.json()["thumbprint"])
    assert 401 == connect(port, context(tokenbind_stranger)).get("/", headers=headers).status_code
    assert Reason.CERTIFICATE_MISMATCH is tokenbind_monitor.last_reason


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("not_there:X", "found no uvicorn"),
        ("fake_uvicorn:NoWebsocketLibrary", "no uvicorn"),
        ("fake_uvicorn:Closed", "report it"),
    ],
)
def test_install_without_anything_to_teach_fails(target, error, fake_uvicorn):
    """A uvicorn that is not there, or has lost the hook, is an error where `install` is called, not 503 for ever."""
    fake_uvicorn(target)
    with pytest.raises(ConfigurationError, match=error):
        shim.install()


@pytest.mark.parametrize(
    ("target", "kind"), [("fake_uvicorn:NoWebsocketLibrary", ImportError), ("fake_uvicorn:Closed", ConfigurationError)]
)
def test_class_that_cannot_be_made_fails(target, kind, fake_uvicorn):
    """A class is made when it is asked for, and says what is missing."""
    fake_uvicorn(target)
    with pytest.raises(kind):
        getattr(shim, target)


def test_protocol_without_an_app_fails(fake_uvicorn):
    """A uvicorn whose requests do not go through `app` would pass by the shim, so the connection fails."""
    module = fake_uvicorn("fake_uvicorn:Closed")
    module.Closed.connection_made = lambda self, transport: None
    shim.install()
    with pytest.raises(ConfigurationError, match=r"Closed\.app"):
        module.Closed().connection_made(None)


def test_names_are_those_of_the_shim():
    """Each class is made once, extends uvicorn's, and says where it is from; other names do not exist."""
    assert {*shim._CLASSES, "install", "ssl_context"} == set(shim.__all__)
    assert shim.H11 is shim.H11
    assert issubclass(shim.H11, H11Protocol)
    assert ("tokenbind.servers.uvicorn", "H11") == (shim.H11.__module__, shim.H11.__qualname__)
    with pytest.raises(AttributeError, match="HTTP2"):
        getattr(shim, "HTTP2")  # noqa: B009 - it is not there
