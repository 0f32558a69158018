"""The metadata of an authorization server (RFC 8414): what its issuer name leads to, and nowhere else."""

from __future__ import annotations

from collections.abc import Collection, Mapping
import ssl
from time import monotonic
from typing import Any

from ..errors import ConfigurationError
from .fetch import FetchError, fetch_json, shown
from .origin import HttpsUrl, read_https_url, require_url


__all__ = ["ServerMetadata", "discover", "require_address", "require_allowed_hosts", "require_issuer"]

# Keycloak's and Entra ID's documents have 2 to 8 KiB. Lists of claims and locales grow, but not sixteenfold.
_MAX_BYTES = 131_072


class ServerMetadata:
    """What an authorization server says about itself (RFC 8414 §2), and which of its URLs may be used.

    Made by `discover`, which takes the same arguments.

    Attributes:
        issuer: The issuer identifier.
    """

    def __init__(
        self,
        issuer: str,
        members: Mapping[str, Any],
        *,
        address: str | None = None,
        allowed_hosts: Collection[str] = (),
    ) -> None:
        self.issuer = issuer
        self._members = members
        self._own = require_issuer(issuer)
        self._address = require_address(address) or self._own
        self._allowed = require_allowed_hosts(allowed_hosts)

    def url(self, name: str) -> str:
        """The https URL under *name*, such as ``jwks_uri``, as it is to be fetched.

        For a URL on the issuer's own origin that is at the address. Does NOT verify that anything is there.

        Raises:
            FetchError: if there is none, it is not a plain https URL, or it is neither on the origin of the issuer or
                of the address, nor on an allowed host.
        """
        value = self._members.get(name)
        if value is None:
            raise FetchError(f"the metadata of {self.issuer} has no {name}")
        return self._permitted(name, value)

    def mutual_tls_url(self, name: str) -> str:
        """The same for a client with a certificate: that of ``mtls_endpoint_aliases``, if it is in there (RFC 8705 §5).

        "a client intending to do mutual TLS [...] MUST use the alias URL of the endpoint within the
        mtls_endpoint_aliases, when present, in preference to the endpoint URL of the same name at the top level".

        Raises:
            FetchError: as for `url`; a bad alias does not lead to the other endpoint, which sees no certificate.
        """
        aliases = self._members.get("mtls_endpoint_aliases")
        if aliases is None:
            return self.url(name)
        if not isinstance(aliases, dict):
            raise FetchError(f"mtls_endpoint_aliases in the metadata of {self.issuer} is not a JSON object")
        value = aliases.get(name)
        return self.url(name) if value is None else self._permitted(f"mtls_endpoint_aliases.{name}", value)

    def get(self, name: str) -> Any:
        """What stands under *name*, as it is, or None."""
        return self._members.get(name)

    def _permitted(self, name: str, value: object) -> str:
        url = read_https_url(value)
        if url is None or "#" in str(value):
            raise FetchError(f"{name} in the metadata of {self.issuer} is not a plain https URL: {shown(value)}")
        if url.origin == self._own.origin:
            return str(url._replace(host=self._address.host, port=self._address.port))
        # Some build URLs from the name that they are reached by (Keycloak: hostname-backchannel-dynamic).
        if url.origin == self._address.origin or url.origin in self._allowed:
            return str(url)
        raise FetchError(
            f"{name} in the metadata of {self.issuer} is on another host, {url._replace(target='')}; "
            "if that is right, name it in allowed_hosts="
        )

    def __repr__(self) -> str:
        return f"<ServerMetadata of {self.issuer}>"


def discover(
    issuer: str,
    *,
    context: ssl.SSLContext,
    address: str | None = None,
    allowed_hosts: Collection[str] = (),
    timeout_seconds: float = 10,
    proxy: str | None = None,
) -> ServerMetadata:
    """Fetch the metadata of *issuer* (RFC 8414 §3), in the form of OpenID Connect Discovery if there is no other.

    The ``issuer`` in the document must be identical to *issuer* (§3.3). Does NOT verify ``signed_metadata``, nor any
    URL in it: `ServerMetadata.url` refuses what is elsewhere.

    Args:
        issuer: The issuer identifier, exactly as the server spells it.
        context: Verifies the server's certificate, for the name in *address* if there is one.
        address: The https origin at which the issuer's own origin is reached; names stay those of the issuer.
        allowed_hosts: Hosts (``host`` or ``host:port``) besides its own that the issuer may point to.
        timeout_seconds: For all of it.
        proxy: As for `fetch`.

    Raises:
        FetchError: if there is no such document.
        ConfigurationError: if an argument cannot be right.
    """
    own = require_issuer(issuer)
    at = require_address(address) or own
    require_allowed_hosts(allowed_hosts)
    # RFC 8414 §3.1: 'any terminating "/" MUST be removed before inserting "/.well-known/" and the well-known URI suffix
    # between the host component and the path component'. OpenID Connect Discovery 1.0 §4 appends them instead.
    path = own.target.removesuffix("/")
    oauth = str(at._replace(target=f"/.well-known/oauth-authorization-server{path}"))
    openid = str(at._replace(target=f"{path}/.well-known/openid-configuration"))
    deadline = monotonic() + timeout_seconds

    def get(url: str) -> ServerMetadata | FetchError:
        """The metadata, or why there is none at *url*."""
        left = max(0.0, deadline - monotonic())
        try:
            members = fetch_json(url, context=context, timeout_seconds=left, max_bytes=_MAX_BYTES, proxy=proxy)
        except FetchError as error:
            # Out of order, or too busy: that says nothing about what is there.
            if error.status is None or error.status == 429 or error.status >= 500:
                raise
            return error
        if members.get("issuer") != issuer:
            named = ascii(members.get("issuer"))[:200]
            raise FetchError(
                f"{shown(url)} is the metadata of the issuer {named}, not of {issuer!r}: issuer= must be the same text",
                200,
            )
        return ServerMetadata(issuer, members, address=address, allowed_hosts=allowed_hosts)

    # The first is at the root of the host, where another site may live that redirects, or has a page for everything.
    first = get(oauth)
    found = get(openid) if isinstance(first, FetchError) else first
    if isinstance(found, FetchError):
        raise FetchError(f"there is no metadata: {first}; {found}", found.status)
    return found


def require_issuer(issuer: str) -> HttpsUrl:
    """Read an issuer identifier: an https URL without query and fragment (RFC 8414 §2).

    Raises:
        ConfigurationError: if it is anything else.
    """
    url = require_url("issuer", issuer)
    if "?" in issuer or "#" in issuer:
        raise ConfigurationError("issuer= must have no query and no fragment (RFC 8414 §2)")
    if "/.well-known/" in issuer:
        raise ConfigurationError("issuer= must be the issuer itself, not the address of its metadata")
    return url


def require_address(address: str | None) -> HttpsUrl | None:
    """Read an https origin, such as ``https://keycloak.internal:8443``; None stays None.

    Raises:
        ConfigurationError: if it is anything else.
    """
    if address is None:
        return None
    url = require_url("address", address)
    if url.target not in {"", "/"} or "#" in address:
        raise ConfigurationError("address= must be an https origin, with host and port alone; paths are the issuer's")
    return url


def require_allowed_hosts(allowed_hosts: Collection[str]) -> frozenset[tuple[str, int]]:
    """Read names of hosts, each ``host`` or ``host:port``, without scheme; 443 is the port where there is none.

    Raises:
        ConfigurationError: if one is anything else, or *allowed_hosts* is a text rather than a list of them.
    """
    if isinstance(allowed_hosts, str) or not isinstance(allowed_hosts, Collection):
        raise ConfigurationError("allowed_hosts= must be a list of hosts, such as ['keys.example']")
    origins: set[tuple[str, int]] = set()
    for host in allowed_hosts:
        url = read_https_url(f"https://{host}") if isinstance(host, str) else None
        if url is None or url.target or "#" in host:
            raise ConfigurationError(
                "allowed_hosts= must be names, each host or host:port: no scheme, path or wildcard"
            )
        origins.add(url.origin)
    return frozenset(origins)
