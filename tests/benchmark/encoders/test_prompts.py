"""Texts of prompts and tokens of answers, with templates and a tokenizer whose results can be written by hand."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest

from benchmark.encoders.loaders.transformers.prompts import answer_tokens, prompt_form
from builders.errors import UsageError

USER = "{% if m.role == 'user' %}Q:{{ m.content[1].text }}|{% else %}"
"""Beginning of templates: of the user's turn only the question stands in the text."""

TURN = (
    "{% for m in messages %}" + USER + "ASSISTANT{% endif %}{% endfor %}{% if add_generation_prompt %}BEGUN{% endif %}"
)


class Processor:
    """Of a template, where ``raise_exception()`` fails."""

    def __init__(self, template: str, **tokenizer: Any) -> None:
        self.chat_template = template
        self.tokenizer = SimpleNamespace(**tokenizer)

    def apply_chat_template(self, messages: list[dict[str, Any]], **options: Any) -> str:
        template = self.chat_template or self.tokenizer.chat_template
        return jinja2.Template(template, keep_trailing_newline=True, undefined=jinja2.StrictUndefined).render(
            messages=messages, **{"add_generation_prompt": False, **options}
        )


def turn(answer: str, begun: str) -> str:
    return TURN.replace("ASSISTANT", answer).replace("BEGUN", begun)


ANSWER, TEXT = "{{ m.content[0].text }}", "{{ m.content + '' }}"


@pytest.mark.parametrize(
    ("template", "rendered", "before"),
    [
        (turn(f"A:{ANSWER};", "A:"), "Q:why|A:", ""),
        (turn(f"A: {ANSWER};", "A:"), "Q:why|A:", " "),
        (turn(f"A:  {ANSWER};", "A: "), "Q:why|A:", "  "),
        (turn(f"A:\n{ANSWER};", "A:\n"), "Q:why|A:\n", ""),
        (turn(f"A:\n {ANSWER};", "A:\n"), "Q:why|A:\n", " "),
        (turn(f"A:<think></think>{ANSWER};", "A:"), "Q:why|A:<think></think>", ""),
        (turn(f"A: {TEXT};", "A:"), "Q:why|A:", " "),  # a text, not a list of parts
        (turn("A: {% if m.content is string %}{{ m.content }}{% endif %};", "A:"), "Q:why|A:", " "),  # no list
        (turn("the answer is lost", "A:\n"), "Q:why|A:\n", ""),
        (turn(f"old: {ANSWER}", "A:"), "Q:why|A:", " "),  # a past answer stands elsewhere than the next one
        (turn(f"old: {ANSWER}", "A\n"), "Q:why|A\n", ""),
        (turn(f"old: {ANSWER}", "<A>"), "Q:why|<A>", ""),
        (turn(f"old: {ANSWER}", "[A]"), "Q:why|[A]", ""),
        (turn(f"old: {ANSWER}", "[A]:"), "Q:why|[A]:", " "),
    ],
)
def test_prompt_form__what_the_model_continues_and_what_stands_before_its_answer(
    template: str, rendered: str, before: str
) -> None:
    form = prompt_form("mine", Processor(template), SimpleNamespace(model_type="new"))
    assert (form.render("why"), form.before, form.record) == (rendered, before, template)
    only_the_tokenizer = Processor("", chat_template=template)
    other = prompt_form("mine", only_the_tokenizer, SimpleNamespace(model_type="llava"))
    assert (other.render("why"), other.before, other.record) == (rendered, before, template)


@pytest.mark.parametrize(
    ("tokenizer", "added"),
    [({}, True), ({"bos_token": None}, True), ({"bos_token": "<s>"}, True), ({"bos_token": "Q:"}, False)],
)
def test_prompt_form__a_first_token_that_the_template_writes_is_not_added(
    tokenizer: dict[str, Any], added: bool
) -> None:
    form = prompt_form("mine", Processor(turn(ANSWER, "A:"), **tokenizer), SimpleNamespace(model_type="new"))
    assert form.add_special_tokens is added


def test_prompt_form__of_a_template_that_fails_or_is_absent() -> None:
    with pytest.raises(UsageError) as failed:
        prompt_form("mine", Processor("{{ messages[5].role }}"), SimpleNamespace(model_type="llava"))
    assert "UndefinedError" in str(failed.value)
    with pytest.raises(UsageError) as unknown:
        prompt_form("mine", Processor("", chat_template=None), SimpleNamespace(model_type="new"))
    assert "llava_next" in str(unknown.value)


@pytest.mark.parametrize(
    ("family", "rendered", "before"),
    [
        ("paligemma", "<p>answer en why?", "\n"),
        ("blip-2", "Question: why? Answer:", " "),
        *((family, "USER: <p>\nwhy? ASSISTANT:", " ") for family in ("llava", "llava_next", "vipllava")),
    ],
)
def test_prompt_form__of_families_without_a_template(family: str, rendered: str, before: str) -> None:
    processor = Processor("", chat_template=None)
    unnamed = prompt_form("mine", processor, SimpleNamespace(model_type=family))
    assert unnamed.render("why?") == rendered.replace("<p>", "<image>")
    processor.image_token = "<p>"  # type: ignore[attr-defined]
    form = prompt_form("mine", processor, SimpleNamespace(model_type=family))
    assert (form.render("why?"), form.before, form.add_special_tokens) == (rendered, before, True)
    assert repr(rendered.replace("<p>", "{image}").replace("why?", "{question}")) in form.record


class Words:
    """A tokenizer of words with the space before them; capitals and accents do not count, and ``::`` is one token."""

    def __init__(self) -> None:
        self.known: list[str] = []

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        tokens = [token.lower().replace("é", "e") for token in re.findall(r" ?\w+|::|.|\n", text)]
        self.known += [token for token in tokens if token not in self.known]
        return {"input_ids": [999] * add_special_tokens + [self.known.index(token) for token in tokens]}


@pytest.mark.parametrize(("before", "words"), [("", ("yes", "no")), (" ", ("No", "maybe", "yes")), ("\n", ("a",))])
def test_answer_tokens__those_behind_the_prompt(before: str, words: tuple[str, ...]) -> None:
    tokenizer = Words()
    tokens = answer_tokens("mine", tokenizer, "Is it? A:", words, before)
    assert [tokenizer.known[token] for token in tokens] == [before.replace("\n", "") + word.lower() for word in words]


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("Is it so? Say: A:", ("yes", "no way"), "tokenizer"),
        ("A:", (":",), "'A:'"),
        ("A:", ("::",), "'::'"),
        ("A:", ("née", "no", "nee"), "'nee'"),
    ],
)  # fmt: skip
def test_answer_tokens__words_that_are_no_token_of_their_own(text: str, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        answer_tokens("mine", Words(), text, words, "")
    assert message in str(refused.value)
