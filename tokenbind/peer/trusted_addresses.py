"""Trust in addresses of the transport."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias

from ..errors import ConfigurationError, InvalidRequest, Reason
from .incoming import Incoming


__all__ = ["TrustedAddresses", "untrusted"]

_Network: TypeAlias = IPv4Network | IPv6Network

_LOOPBACK: tuple[_Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1"))
_MAPPED = IPv6Network("::ffff:0:0/96")
_REMEMBERED = 256


def untrusted(why: str) -> InvalidRequest:
    """The error of a request that the proxy has not sent."""
    return InvalidRequest(Reason.PROXY_UNTRUSTED, f"the request is not the trusted proxy's: {why}")


class TrustedAddresses:
    """The rule of `Trust.addresses`."""

    secret_header = None
    thumbprints: frozenset[str] = frozenset()

    def __init__(self, networks: tuple[str, ...]) -> None:
        if not networks:
            raise ConfigurationError('Trust.addresses() takes addresses and networks, such as "10.0.0.0/8"')
        self._networks = [_network(text) for text in networks]
        _refuse_everybody(self._networks)
        _warn_of_ourselves(self._networks)
        self._known: dict[str, bool] = {}

    def check(self, incoming: Incoming) -> None:
        """As in `Rule.check`."""
        peer = incoming.socket_peer
        address = peer[0] if type(peer) in (tuple, list) and peer else None  # type: ignore[index]
        if type(address) is not str:
            if peer is None:
                raise incoming.no_evidence("the server does not tell the address of the socket's peer", "socket_peer")
            raise untrusted("it came over a socket that is not of the Internet; for those there is Trust.unix_socket")
        known = self._known.get(address)
        if known is None:
            known = self._is_trusted(address)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[address] = known
        if not known:
            raise untrusted(f"its sender {address!a} is not one of trusted_proxy=")

    def _is_trusted(self, text: str) -> bool:
        try:
            address: IPv4Address | IPv6Address = ipaddress.ip_address(text)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped  # a socket of both families gives these
        return any(address in network for network in self._networks)


def _network(text: str) -> _Network:
    try:
        network: _Network = ipaddress.ip_network(text)
    except ValueError as error:
        raise ConfigurationError(f"Trust.addresses(): {_meant(text) or error}") from None
    if type(text) is not str:
        raise ConfigurationError('Trust.addresses() takes text, such as "10.0.0.0/8"')
    if "%" in text:  # that of a peer is not looked at, so the address would be trusted on every interface
        raise ConfigurationError(f"Trust.addresses() cannot tell zones apart: {text!a} must have none")
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        return IPv4Network((int(network.network_address) & 0xFFFF_FFFF, network.prefixlen - 96))
    return network


def _meant(text: str) -> str:
    """What to write instead of *text*, should it be an address and the length of a prefix."""
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        return ""
    return f"{text!a} is in {interface.network}: write that for the network, or {interface.ip} for the one address"


def _refuse_everybody(networks: list[_Network]) -> None:
    for version in (IPv4Network, IPv6Network):
        for whole in ipaddress.collapse_addresses([each for each in networks if isinstance(each, version)]):  # type: ignore[type-var]
            if whole.prefixlen == 0:
                raise ConfigurationError("Trust.addresses() must not be everybody; for tests, Trust.unsafe_anyone()")


def _warn_of_ourselves(networks: list[_Network]) -> None:
    for network in networks:
        if any(network.overlaps(own) for own in (*_LOOPBACK, *_own(network)) if own.version == network.version):
            import logging

            logging.getLogger("tokenbind").warning(
                "Trust.addresses(): %s has addresses of this very machine in it; whatever runs here, and whoever can "
                "make it send a request, can speak as the proxy. Name the proxy's own address, or use a Unix socket",
                network,
            )


def _own(network: _Network) -> list[_Network]:
    """The address that this machine has towards *network*; nothing is sent to find it out."""
    import socket

    family = socket.AF_INET if network.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as towards:
            towards.connect((str(network.network_address), 9))
            return [ipaddress.ip_network(towards.getsockname()[0].partition("%")[0])]
    except OSError:  # there is no way to it
        return []
