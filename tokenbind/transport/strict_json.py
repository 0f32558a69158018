"""One JSON object from strict UTF-8 (RFC 8259), as our own requests accept it."""

from __future__ import annotations

import json
from json import JSONDecodeError
from typing import Any

from ..binding.strict_json import STRICT


__all__ = ["read_json_object"]


def read_json_object(data: bytes) -> dict[str, Any]:
    """Decode one JSON object.

    Refuses duplicate member names at any depth, NaN, Infinity and numbers beyond a float, lone surrogates, and what is
    nested too deep to be written again.

    Raises:
        ValueError: with a message that says what came instead, in words that quote nothing of it.
    """
    try:
        value = STRICT.decode(data.decode().strip(" \t\r\n"))
        json.dumps(value, ensure_ascii=False).encode()  # what cannot be written again fails later, wherever it is shown
    except (UnicodeDecodeError, JSONDecodeError):
        raise ValueError("a body that is not JSON") from None
    except (ValueError, RecursionError):  # ValueError: duplicates, surrogates, numbers of too many digits
        raise ValueError("a body that is not strict JSON") from None
    if not isinstance(value, dict):
        raise ValueError("JSON that is not an object")  # noqa: TRY004 - remote, as all the others
    return value
