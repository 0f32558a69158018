"""Datetimes that callers give us, as seconds since the epoch."""

from __future__ import annotations

from datetime import datetime

from ..errors import ConfigurationError


__all__ = ["seconds_of"]


def seconds_of(moment: object, name: str) -> float:
    """The seconds since the epoch of an aware datetime, the argument *name*.

    Raises:
        ConfigurationError: if it is no datetime, or has no timezone.
    """
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise ConfigurationError(f"{name} must be a datetime with a timezone: datetime(..., tzinfo=timezone.utc)")
    return moment.timestamp()
