"""Results in notebooks: tables and figures as HTML."""

from __future__ import annotations

import base64
import html
import io
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def html_table(header: list[str], rows: list[list[str]]) -> str:
    """An HTML table; every cell is escaped, columns of numbers are right-aligned."""
    numeric = [all(cell[:1] in "+-0123456789<" for row in rows if (cell := row[i])) for i in range(len(header))]

    def line(tag: str, cells: list[str]) -> str:
        align = [f"text-align:{'right' if right else 'left'};padding:0.1em 0.6em" for right in numeric]
        return "".join(f'<{tag} style="{a}">{html.escape(cell)}</{tag}>' for a, cell in zip(align, cells, strict=True))

    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{line('th', header)}</tr></thead><tbody>{body}</tbody></table>"


def inline_image(figure: Figure) -> str:
    """An ``<img>`` that holds the figure."""
    data = base64.b64encode(_png(figure)).decode()
    return f'<img alt="report" style="max-width:100%" src="data:image/png;base64,{data}">'


def show_figures() -> None:
    """Let a notebook show the figure with which a cell ends, as it does once pyplot has chosen its backend."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is not None:
        from matplotlib.figure import Figure

        formatter = shell.display_formatter.formatters["image/png"]
        if Figure not in formatter:
            formatter.for_type(Figure, _png)


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    dots = 100 if figure.get_size_inches()[0] > 5 else 200  # a figure of one column is small
    figure.savefig(buffer, format="png", dpi=dots, facecolor="white")
    return buffer.getvalue()
