"""Errors of ours that are a library's own as well, so that what its users catch is caught."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

from ..errors import ClientError


__all__ = ["as_both"]

Foreign = TypeVar("Foreign", bound=Exception)


def as_both(error: ClientError, base: type[Foreign], **options: Any) -> Foreign:
    """The same error, of a class that is *base* too; attributes such as those of a `GrantError` are kept.

    Args:
        base: The library's class.
        options: What its constructor takes besides the message.
    """
    kinds: tuple[Any, Any] = type(error), base
    both = _class_of_both(*kinds)
    raised: Foreign = both.__new__(both)
    base.__init__(raised, *error.args, **options)
    raised.__dict__.update(error.__dict__, _plain=error)
    return raised


@cache
def _class_of_both(kind: Any, base: Any) -> Any:
    # It is not found by its name, so what is pickled is the plain error.
    members = {"__module__": kind.__module__, "__reduce__": lambda self: self._plain.__reduce__()}
    return type(kind.__name__, (kind, base), members)
