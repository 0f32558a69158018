"""The role that protects an API: takes a token from a request, has it verified, and answers refusals (RFC 6750).

`guard` decides, for every framework alike; `asgi` and `wsgi` translate.
"""

from .challenge import Refusal
from .guard import ResourceServer


__all__ = ["Refusal", "ResourceServer"]
