"""``Retry-After`` (RFC 9110 §10.2.3), in seconds from now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime
import re
from time import time


__all__ = ["read_retry_after"]

_is_seconds = re.compile(r"[0-9]{1,300}").fullmatch


def read_retry_after(status: int, headers: Mapping[str, str]) -> float | None:
    """How long a server that is busy (429 or 503) asks to be left alone, or None if it does not say so in good form."""
    value = headers.get("retry-after", "") if status in {429, 503} else ""
    if _is_seconds(value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
        # RFC 9110 §5.6.7: an HTTP-date is in UTC.
        moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        return max(0.0, moment.timestamp() - time())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
