"""What the pictures share: text that stays text, and elements of SVG. Pure.

Pictures have presentation attributes only, no styles, so that a strict content security policy
takes them; colours are variables of the page, with a value for where there are none.
"""

from __future__ import annotations

from html import escape

INK = "currentColor"
FAINT = "var(--line, #999)"


def shown(text: str, most: int = 200) -> str:
    """Text for an element or attribute: no markup, nothing invisible, not endless."""
    plain = "".join(char if char.isprintable() else "?" for char in text)
    legal = plain.encode("utf-8", "replace").decode()
    return escape(legal if len(legal) <= most else f"{legal[: most - 3]}...")


def words(x: float, y: float, text: str, *, anchor: str = "start", bold: bool = False) -> str:
    """A line of text, 11 pixels high, its baseline at ``y``."""
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{number(x)}" y="{number(y)}" font-size="11" text-anchor="{anchor}" '
        f'fill="{INK}"{weight}>{shown(text)}</text>'
    )


def box(x: float, y: float, width: float, height: float, fill: str, stroke: str = "none") -> str:
    """A rectangle."""
    return (
        f'<rect x="{number(x)}" y="{number(y)}" width="{number(width)}" '
        f'height="{number(height)}" fill="{fill}" stroke="{stroke}"/>'
    )


def picture(width: float, height: float, title: str, description: str, parts: list[str]) -> str:
    """The whole, with what a screen reader says instead."""
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{number(width)}" '
                f'height="{number(height)}" viewBox="0 0 {number(width)} {number(height)}" '
                f'font-family="ui-monospace, monospace" aria-label="{shown(title)}">'
            ),
            f"<title>{shown(title)}</title>",
            f"<desc>{shown(description, 4000)}</desc>",
            *parts,
            "</svg>",
        ]
    )


def number(value: float) -> str:
    """With as few digits as a picture needs."""
    return f"{value:.1f}".rstrip("0").rstrip(".")
