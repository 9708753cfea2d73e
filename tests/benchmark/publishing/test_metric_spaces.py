"""The Space of each metric: every fact of its card under its name, the files, and examples as code and output."""

from importlib import resources

import pytest

import builders.dataset
from benchmark.metrics import CITATION, DEFINITIONS
from benchmark.publishing import write_space
from benchmark.publishing.metric_spaces import Example, card_facts, example_of


@pytest.mark.parametrize("metric", DEFINITIONS)
def test_card_facts__each_from_its_field(metric):
    definition = DEFINITIONS[metric]
    example = example_of(definition.example_from("me/mine"))
    facts = card_facts(metric, "me/mine")
    assert facts == {
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
    texts = [value for value in facts.values() if isinstance(value, str)]
    assert len(set(texts)) == len(texts)  # else one could stand for another
    assert "me/mine" in facts["example"]


@pytest.mark.parametrize("metric", DEFINITIONS)
def test_write_space__four_files_of_which_the_card_is_last(metric, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(builders.dataset, "render", lambda card, **facts: calls.append((card, facts)) or f"<{card}>")
    assert write_space(metric, "me/mine", tmp_path) == [f"{metric}.py", "requirements.txt", "index.html", "README.md"]
    facts = card_facts(metric, "me/mine")
    assert calls == [("metric.html.jinja", facts), ("metric.md.jinja", facts)]
    script = (resources.files("benchmark") / "metrics" / metric / f"{metric}.py").read_text(encoding="utf-8")
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == {
        f"{metric}.py": script.replace(f"camtrace/{metric}", "me/mine"),
        "requirements.txt": "camtrace[encoders]\n",
        "index.html": "<metric.html.jinja>",
        "README.md": "<metric.md.jinja>",
    }


@pytest.mark.parametrize(
    ("text", "code", "output"),
    [
        (">>> print(1)\n1\n", "print(1)", "1"),
        (
            "    >>> for i in range(2):\n    ...     print(i)\n    0\n    1\n",
            "for i in range(2):\n    print(i)",
            "0\n1",
        ),
        (">>> a = 1\n>>> a\n1\n>>> a + 1\n2", "a = 1\na\na + 1", "1\n2"),
        (">>> a = [\n...\n... ]\n", "a = [\n\n]", ""),
        (">>> ' >>> '\n' >>> '\n", "' >>> '", "' >>> '"),
        ("", "", ""),
    ],
)
def test_example_of__code_without_prompts_and_what_it_prints(text, code, output):
    assert example_of(text) == Example(code, output)
