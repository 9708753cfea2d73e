"""``audit.html``: one file that loads nothing, runs nothing, and shows names of strangers as text alone."""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib import resources
from typing import Any

import jinja2

from benchmark.audit.terms import ALPHA, SMALLEST_EFFECT, TARGETS


def page_html(audit: Any) -> str:
    """The whole page of a ``values.Audit``. Its policy allows the style in it, by its hash, and nothing else."""
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _render("audit.html.jinja", audit, style=style, style_hash=f"sha256-{digest}")


def notebook_html(audit: Any) -> str:
    """The body alone, as a notebook shows it: with the notebook's own style."""
    return _render("audit_body.html.jinja", audit)


def _render(template: str, audit: Any, **context: str) -> str:
    return (
        _environment()
        .get_template(template)
        .render(audit=audit, targets=TARGETS, alpha=ALPHA, smallest=SMALLEST_EFFECT, **context)
    )


@functools.cache
def _style() -> str:
    return (resources.files("benchmark.audit") / "page.css").read_text(encoding="utf-8")


@functools.cache
def _environment() -> jinja2.Environment:
    def text(name: str) -> str | None:
        path = resources.files("cards") / name
        return path.read_text(encoding="utf-8") if path.is_file() else None

    return jinja2.Environment(
        loader=jinja2.FunctionLoader(text),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,  # ids, labels and comments come from files of strangers
    )
