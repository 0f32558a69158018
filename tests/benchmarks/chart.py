"""The chart of the documentation: horizontal bars as SVG, readable on light and on dark."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from xml.sax.saxutils import escape


__all__ = ["Bar", "Group", "draw"]

_WIDTH, _LEFT, _RIGHT, _MARGIN = 780, 240, 66, 24
_BAR, _STEP, _TITLE, _NOTE, _GAP = 16, 23, 22, 20, 22
_LETTER = 6.6  # about the width of one at 12 px

# A card of its own: a page can be dark where the system, which alone tells an image, is light.
_STYLE = """
text { font: 12px system-ui, "Segoe UI", "DejaVu Sans", Helvetica, Arial, sans-serif; fill: #1f2328; }
.title { font-weight: 600; font-size: 14px; }
.note { fill: #59636e; }
.ours { font-weight: 600; }
.card { fill: #ffffff; stroke: #d1d9e0; }
.bar { fill: #b3bcc5; }
.bar.ours { fill: #1f6feb; }
.one { stroke: #cf222e; stroke-width: 1.5; stroke-dasharray: 4 3; }
.one-name { fill: #cf222e; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .note { fill: #9198a1; }
  .card { fill: #151b23; stroke: #3d444d; }
  .bar { fill: #565f69; }
  .bar.ours { fill: #4493f8; }
  .one { stroke: #ff7b72; }
  .one-name { fill: #ff7b72; }
}
"""


class Bar(NamedTuple):
    """A bar: its name, its length, what is written behind it, and whether it is tokenbind's."""

    name: str
    value: float
    text: str
    ours: bool


class Group(NamedTuple):
    """Bars on one scale. *one* is the name of the line at 1.0, if that lies within the scale."""

    title: str
    note: str
    bars: list[Bar]
    one: str = ""


def draw(groups: Iterable[Group], *, title: str) -> str:
    """The whole image; *title* is what is read to those who do not see it."""
    parts: list[str] = []
    y = _MARGIN
    for group in groups:
        y = _draw_group(group, y, parts) + _GAP
    height = y - _GAP + _MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img">\n<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n'
        f'<rect class="card" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}" rx="8"/>\n'
    )
    return head + "\n".join(parts) + "\n</svg>\n"


def _draw_group(group: Group, y: float, parts: list[str]) -> float:
    """Appends the group's elements, and returns where it ends."""
    scale = (_WIDTH - _LEFT - _RIGHT) / max([bar.value for bar in group.bars] + [1.0] * bool(group.one))
    parts.append(_text(_MARGIN, y + 12, group.title, "title"))
    parts.append(_text(_MARGIN, y + _TITLE + 11, group.note, "note"))
    top = y = y + _TITLE + _NOTE + (_NOTE if group.one else 6)
    for bar in group.bars:
        length, middle, ours = bar.value * scale, y + _BAR / 2 + 4.5, " ours" * bar.ours
        parts.append(_text(_LEFT - 10, middle, bar.name, f"name{ours}", "end"))
        rect = f'<rect class="bar{ours}" x="{_LEFT}" y="{y:g}" width="{max(length, 1):.1f}" height="{_BAR}" rx="2"/>'
        parts.append(rect)
        # Where the line would run through the number, the number moves behind it.
        x, line = _LEFT + length + 8, _LEFT + scale
        if group.one and x - 4 < line < x + len(bar.text) * _LETTER + 4:
            x = line + 8
        parts.append(_text(x, middle, bar.text, f"value{ours}"))
        y += _STEP
    if group.one:
        x = _LEFT + scale
        y_end = y - (_STEP - _BAR) + 4
        parts.append(f'<line class="one" x1="{x:.1f}" y1="{top - 4:g}" x2="{x:.1f}" y2="{y_end:g}"/>')
        room = _WIDTH - _MARGIN - x
        anchor = "start" if len(group.one) * _LETTER < room else "end"
        parts.append(_text(x, top - 9, group.one, "one-name", anchor))
    return y


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
