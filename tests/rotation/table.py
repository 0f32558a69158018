"""What was counted, for a person to read."""

from __future__ import annotations

from typing import Any


__all__ = ["GROWTH", "HEAD", "PREAMBLE", "growth_of", "how_of", "row_of"]

PREAMBLE = """\
A client's certificate is renewed every {rotation} s, each time with a new key, while the client asks an API for {seconds:g} s.
The API takes a token only with the certificate that it is bound to. It closes a connection after {connection} requests.
The authorization server binds each token, for five minutes, to the certificate that it sees.
No request is sent twice: the replay after a 401 is off. The plain session keeps its token, as it is mostly done.

  failed, %       requests that got no 200; what they got stands below
  certificates    how many there were, the first one included
  token requests  how many reached the authorization server: about one for each certificate
  seen by API     with how many certificates it let requests in
"""  # noqa: E501 - as long as the table

_COLUMNS = (
    ("library", 36),
    ("requests", 8),
    ("failed", 6),
    ("failed %", 8),
    ("certificates", 12),
    ("token requests", 14),
    ("certificates that the API saw", 11),
    ("slowest ms", 10),
)
_TITLES = {"failed %": "%", "certificates that the API saw": "seen by API"}


def _line(cells: list[Any]) -> str:
    first, *rest = zip(cells, (width for _, width in _COLUMNS), strict=True)
    return "  ".join([f"{first[0]:<{first[1]}}", *(f"{cell!s:>{width}}" for cell, width in rest)])


HEAD = _line([_TITLES.get(name, name) for name, _ in _COLUMNS])


def row_of(name: str, counted: dict[str, Any]) -> str:
    """One run."""
    return _line([name, *(counted[column] for column, _ in _COLUMNS[1:])])


def how_of(counted: dict[str, Any]) -> str:
    """What there was instead of answers; empty if there was nothing."""
    return "".join(f"    {number} times {what[:100]}\n" for what, number in counted["how"].items())


GROWTH = "What {rotations} rotations leave behind in the process of client, API and authorization server:"


def growth_of(counted: dict[str, Any]) -> str:
    """One line for each thing that could grow."""
    rotations = counted["rotations"]
    early, late = f"after {max(1, rotations // 4)}", f"after {rotations}"
    return "\n".join(
        f"  {name:12}  {early}: {pair[0]:g} -> {late}: {pair[1]:g}"
        for name, pair in counted.items()
        if isinstance(pair, list)
    )
