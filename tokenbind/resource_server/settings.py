"""A guard from a mapping, for frameworks that are configured by settings."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import isfunction
from pkgutil import resolve_name
from typing import Any

from ..errors import ConfigurationError
from .guard import GuardOptions, ResourceServer


__all__ = ["resource_server"]

_OBJECTS = ("verifier", "peer_source", "monitor")
_KEYS = {*_OBJECTS, *GuardOptions.__annotations__}


def resource_server(name: str, given: Any) -> ResourceServer:
    """The `ResourceServer` whose arguments the setting *name* holds.

    The objects among them are themselves, or a function that makes one, or the dotted path of either.

    Raises:
        ConfigurationError: if one cannot be right; it names the key.
    """
    if not isinstance(given, Mapping) or "verifier" not in given:
        example = {"verifier": "project.tokens.verifier"}
        raise ConfigurationError(f"{name} must be a dict with a verifier, such as {example}")
    if unknown := {str(key) for key in given if key not in _KEYS}:
        raise ConfigurationError(f"{name} has {sorted(unknown)}, but knows only {sorted(_KEYS)}")
    try:
        return ResourceServer(**{key: _made(key, value) for key, value in given.items()})
    except ConfigurationError as error:
        raise ConfigurationError(f"{name}: {error}") from error


def _made(key: str, value: Any) -> Any:
    if key not in _OBJECTS:
        return value
    if isinstance(value, str):
        try:
            value = resolve_name(value)
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigurationError(f"{key}: cannot import {value!r}: {error}") from error
    return value() if isfunction(value) else value
