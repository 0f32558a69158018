"""What the products share: how the service knows each, and the ways in which each is run."""

from __future__ import annotations

from setups import Change, Proxy, Setup


__all__ = ["PROXY_THUMBPRINT", "SECRET", "SERVICE", "Change", "Proxy", "Setup", "reaches", "usual_setups"]

#: As the pages have them; the tests' own take the place of both.
PROXY_THUMBPRINT = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"
SECRET = "YOUR-SECRET-of-openssl-rand-hex-32"

SERVICE = "service.py"
_SOCKET = 'Trust.unix_socket("/run/api/api.sock")'
_TRUSTS = {
    "socket": _SOCKET,
    "address": 'Trust.addresses("10.0.0.4")',
    "secret": 'Trust.secret_header("Proxy-Secret", file="/etc/ssl/api/secret")',
    "mutual TLS": f'Trust.peer_certificates("{PROXY_THUMBPRINT}")',
}


def reaches(home: str = "socket", **changes: tuple[Change, ...]) -> dict[str, tuple[Change, ...]]:
    """The changes of the configuration for each reach, and those of service.py."""
    found = {home: ()}
    for key, changed in changes.items():
        name = key.replace("_", " ")
        found[name] = (Change(SERVICE, _TRUSTS[home], _TRUSTS[name]), *changed)
    return found


def usual_setups(proxy: Proxy, *, forgets_everywhere: bool = False) -> tuple[Setup, ...]:
    """With certificates of each kind, reached in each way, and misconfigured.

    *forgets_everywhere* says that a forgetful host of this proxy makes all of its hosts so.
    """
    elsewhere = [name for name in proxy.reaches if name != proxy.home]
    forgetful = "forgetful everywhere" if forgets_everywhere else "forgetful"
    return (
        Setup(proxy, proxy.home),
        Setup(proxy, proxy.home, "required"),
        Setup(proxy, proxy.home, "any"),
        *(Setup(proxy, reach) for reach in elsewhere),
        Setup(proxy, proxy.home, more=proxy.forgetful, variant="beside a forgetful host", kind=forgetful),
        Setup(proxy, proxy.home, more=proxy.open, variant="without its lines", kind="open"),
    )
