"""``camtrace publish-metrics``: each metric as a static Space for ``evaluate.load``."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from benchmark.metrics import CITATION, DEFINITIONS

REQUIREMENTS = "camtrace[encoders]\n"


@dataclass(frozen=True)
class Example:
    """The example of a metric's description: code and printed text."""

    code: str
    output: str


def write_space(metric: str, repo: str, folder: Path) -> list[str]:
    """Write the files of a metric's Space; returns their names, the card last."""
    from builders.dataset import render

    facts = card_facts(metric, repo)
    script = resources.files("benchmark") / "metrics" / metric / f"{metric}.py"
    texts = {
        script.name: script.read_text(encoding="utf-8").replace(f"camtrace/{metric}", repo),
        "requirements.txt": REQUIREMENTS,
        "index.html": render("metric.html.jinja", **facts),
        "README.md": render("metric.md.jinja", **facts),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return list(texts)


def card_facts(metric: str, repo: str) -> dict[str, Any]:
    """The facts on the card of a metric, from its definition."""
    definition = DEFINITIONS[metric]
    example = _example_of(definition.example_from(repo))
    return {
        "name": metric,
        "class_name": definition.class_name,
        "title": definition.title,
        "short": definition.short,
        "description": " ".join(definition.description.split()),
        "arguments": definition.arguments.strip(),
        "example": example.code,
        "output": example.output,
        "limits": definition.limits,
        "citation": CITATION,
    }


def _example_of(text: str) -> Example:
    """Code and printed text of an example in the form of a Python session.

    >>> _example_of(">>> print(1)\\n1\\n").output
    '1'
    """
    lines = textwrap.dedent(text).strip().splitlines()
    code = [re.sub(r"^(>>>|\.\.\.) ?", "", line) for line in lines if line.startswith((">>>", "..."))]
    return Example("\n".join(code), "\n".join(line for line in lines if not line.startswith((">>>", "..."))))
