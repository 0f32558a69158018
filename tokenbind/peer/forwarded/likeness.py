"""Which preset an unreadable value looks like: for the log of an operator who has taken the wrong one.

Asked only of what is refused already, for the form of a header is never guessed.
"""

from __future__ import annotations

import re


__all__ = ["of_another_preset"]

_BEGINNINGS = (
    (re.compile(rb"-----BEGIN%20"), ("nginx", "ingress_nginx", "aws_alb", "azure_application_gateway")),
    (re.compile(rb"-----BEGIN "), ("apache",)),
    (re.compile(rb":MII"), ("rfc9440", "haproxy", "caddy", "gcp")),
    (re.compile(rb"MII"), ("traefik", "azure_app_service", "cloudflare")),
    (re.compile(rb"(?:Hash|By)=", re.IGNORECASE), ("envoy",)),
    (re.compile(rb"(?:(?:[0-9A-Fa-f]{2}:?){32}|[0-9A-Za-z_+/-]{43}=?)\Z"), ("sha256",)),
)


def of_another_preset(name: str, value: bytes) -> str:
    """The end of a message, or nothing; *name* is the preset that could not read *value*."""
    likely = next((presets for beginning, presets in _BEGINNINGS if beginning.match(value)), (name,))
    return "" if name in likely else f"; it looks like what forwarded.{' or forwarded.'.join(likely)} reads"
