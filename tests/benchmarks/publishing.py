"""Brings the results into the documentation: the tables within ``speed.md``, and ``speed.svg`` beside it."""

from __future__ import annotations

from pathlib import Path
import re
from textwrap import fill

from chart import Bar, Group, draw
from goals import GROUPS
from report import Row


__all__ = ["publish"]

_BEGIN, _END = "<!--- generated: begin -->\n", "<!--- generated: end -->\n"
_HEAD = "| what | cost | against | ratio | must | aim | |\n|---|---:|---|---:|---:|---:|---|\n"
_MEANING = "FLOOR is the least that plain Python can do for it, with no policy at all. Shorter is better."

# Title, note, name of the line at 1.0; then names of bars, and rows. The bars of tokenbind begin with its name.
_CHART: list[tuple[str, str, str, dict[str, str]]] = [
    *(
        (
            f"Verify a token and its binding, {name}: time",
            _MEANING,
            "FLOOR",
            {
                "tokenbind": f"verify + bind {name}, from DER",
                "jwt.decode + check": f"jwt.decode {name}",
                "PyJWKClient + check": f"PyJWKClient {name}",
                "joserfc + check": f"joserfc {name}",
                "jose (Node) + check": f"jose {name}",
                "fast-jwt (Node) + check": f"fast-jwt {name}",
            },
        )
        for name in ("RS256", "ES256")
    ),
    (
        "Verify a token seen before, RS256: time",
        "As fractions of the same FLOOR, on a scale of their own. Shorter is better.",
        "",
        {
            "tokenbind": "cached verify, from DER",
            "tokenbind, thumbprint known": "cached verify, known",
            "tokenbind, raw-bytes keys": "cached verify, from DER, raw-bytes keys",
            "tokenbind, both": "cached verify, known, raw-bytes keys",
            "fast-jwt (Node), cached + check": "fast-jwt cached",
        },
    ),
    (
        "uvicorn over mutual TLS, RS256: requests per second and core that are kept",
        "Of those of an application that asks for no token. Longer is better.",
        "no authentication",
        {
            "tokenbind, cached": "uvicorn over mTLS, cached: kept",
            "tokenbind, uncached": "uvicorn over mTLS, uncached: kept",
            "jwt.decode + check": "uvicorn over mTLS, jwt.decode: kept",
        },
    ),
]


def publish(folder: Path, environment: str, rows: list[Row]) -> None:
    """Write both files; in the page, what stands between the two marks is replaced."""
    page, by_name = folder / "speed.md", {row.what: row for row in rows}
    before, begin, rest = page.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise SystemExit(f"{page} has no marks for the tables")
    page.write_text(before + begin + _tables(environment, by_name) + end + after)
    (folder / "speed.svg").write_text(draw(_groups(by_name), title="How fast tokenbind is, next to others"))


def _tables(environment: str, rows: dict[str, Row]) -> str:
    text = fill(f"Measured with {environment}.", 120) + "\n\n"
    for title, comparisons in GROUPS.items():
        lines = ["| " + " | ".join(rows[one.what].as_text()) + " |" for one in comparisons if one.what in rows]
        if lines:
            text += f"### {title}\n\n{_HEAD}" + re.sub(r" +\|", " |", "\n".join(lines)) + "\n\n"
    return text.replace("<=", "≤").replace(">=", "≥")


def _groups(rows: dict[str, Row]) -> list[Group]:
    groups = []
    for title, note, one, names in _CHART:
        bars = [
            Bar(name, rows[what].ratio, rows[what].text_of(rows[what].ratio, 2), name.startswith("tokenbind"))
            for name, what in names.items()
            if what in rows
        ]
        if bars:
            groups.append(Group(title, note, bars, one))
    return groups
