"""Docstrings as the site shows them: examples are blocks of code, not quotations."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^(?:>>> .*(?:\n(?!\s*$).*)*(?:\n\n(?=>>> ))?)+", re.MULTILINE)
"""From ``>>>`` to the next empty line; examples that follow one another are one block."""


class Doctests(griffe.Extension):
    """Put fences around the examples of each docstring."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called for each class, function, attribute and module."""
        if obj.docstring and not obj.docstring.value.startswith("```"):
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(docstring: str) -> str:
    """The text with fences around its examples.

    >>> fenced("Double.\\n\\n>>> double(2)\\n4\\n\\nMore.").splitlines()
    ['Double.', '', '```pycon', '>>> double(2)', '4', '```', '', 'More.']
    """
    return EXAMPLE.sub(lambda example: f"```pycon\n{example[0].rstrip()}\n```", docstring.expandtabs())
