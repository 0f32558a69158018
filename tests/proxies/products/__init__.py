"""The proxies that are run."""

from __future__ import annotations

from products import apache, caddy, envoy, haproxy, nginx, traefik


__all__ = ["SETUPS"]

SETUPS = (*nginx.SETUPS, *haproxy.SETUPS, *apache.SETUPS, *caddy.SETUPS, *envoy.SETUPS, *traefik.SETUPS)
