"""How a question becomes the text that a vision-language model continues, and which tokens begin its answers.

A chat template decides the text, and also whether an answer follows a line break (``assistant\\nyes``) or a space
(``ASSISTANT: yes``): the template is given a conversation with the answer in it. Families without a template have
their form here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from builders.errors import UsageError
from builders.untrusted import describe_error, readable


class Plain(NamedTuple):
    """The form of prompts of a family without a chat template."""

    text: str
    after: str = ""
    """What the processor itself puts behind the text."""
    space: str = " "
    """What stands before an answer."""


PLAIN: Mapping[str, Plain] = {
    "paligemma": Plain("{image}answer en {question}", "\n", ""),
    "blip-2": Plain("Question: {question} Answer:"),
    "llava": Plain("USER: {image}\n{question} ASSISTANT:"),
    "llava_next": Plain("USER: {image}\n{question} ASSISTANT:"),
    "vipllava": Plain("USER: {image}\n{question} ASSISTANT:"),
}
"""``model_type`` of families that have no chat template -> the form that their authors state."""

MARK = "\u2060answer\u2060"
"""Stands for the answer while it is looked for where a template puts it."""


@dataclass(frozen=True)
class PromptForm:
    """The form of a model's prompts."""

    render: Callable[[str], str]
    """Question -> text that the model continues."""
    before: str
    """What stands between that text and an answer, such as a space, which is a part of the answer's token."""
    add_special_tokens: bool
    """Whether the tokenizer adds its own first token, which a template has already."""
    record: str
    """The form in words or as a template, for cache keys."""


def prompt_form(name: str, processor: Any, config: Any) -> PromptForm:
    """The form of a model's prompts, from its chat template, or from its family.

    Args:
        name: of the model, for messages.
        processor: of transformers.
        config: of the model.

    Raises:
        UsageError: it has no template and is of a family whose form is not known, or its template cannot be used.
    """
    template = getattr(processor, "chat_template", None) or getattr(processor.tokenizer, "chat_template", None)
    if not template:
        if config.model_type not in PLAIN:
            raise UsageError(
                f"{name} ({config.model_type}) cannot answer questions: it has no chat template, and the form of its "
                f"prompts is not known, as it is of {', '.join(sorted(PLAIN))}"
            )
        return _plain(PLAIN[config.model_type], processor)
    try:
        begun = _conversation(processor, "question", None)
        whole = _conversation(processor, "question", MARK)
    except Exception as error:  # a template may raise anything
        raise UsageError(f"{name} cannot answer questions: its chat template fails ({describe_error(error)})") from None
    before, mark, _ = whole.partition(MARK)
    text = before.rstrip(" ") if mark else begun
    if not text.startswith(begun.rstrip()):
        text = begun  # a conversation that goes on differently from one that has just begun
        before = text if _ends_apart(text) else f"{text} "
    more = text[len(begun.rstrip()) :]
    space = before[len(text) :] if before.startswith(text) else ""

    def render(question: str) -> str:
        return _conversation(processor, question, None).rstrip() + more

    first = getattr(processor.tokenizer, "bos_token", None)
    return PromptForm(render, space, not (first and begun.startswith(first)), str(template))


def _plain(form: Plain, processor: Any) -> PromptForm:
    image = str(getattr(processor, "image_token", "<image>"))

    def render(question: str) -> str:
        return form.text.format(question=question, image=image)

    return PromptForm(render, form.after + form.space, True, repr(form))


def _conversation(processor: Any, question: str, answer: str | None) -> str:
    """The text of a conversation about a picture; without an answer, up to where it begins."""
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}
    ]
    if answer is None:
        return str(processor.apply_chat_template(messages, add_generation_prompt=True))
    forms: Sequence[Any] = ([{"type": "text", "text": answer}], answer)
    for content in forms:  # some templates take a text alone
        try:
            text = processor.apply_chat_template([*messages, {"role": "assistant", "content": content}])
        except Exception:
            continue
        if MARK in text:
            return str(text)
    return ""


def _ends_apart(text: str) -> bool:
    """Whether an answer follows without a space: after a line break, a space or a mark of the template."""
    return text[-1:].isspace() or text.endswith((">", "]"))


def answer_tokens(name: str, tokenizer: Any, text: str, words: Sequence[str], before: str) -> tuple[int, ...]:
    """The tokens that begin the answers: those that follow the tokens of a prompt.

    Args:
        name: of the model, for messages.
        tokenizer: of transformers.
        text: of a prompt.
        words: the answers.
        before: what stands between the two.

    Raises:
        UsageError: a word is not one token behind this prompt, or two words begin with the same token.
    """
    start = _tokens(tokenizer, text + before.rstrip(" "))
    tokens: dict[int, str] = {}
    for word in words:
        following = _tokens(tokenizer, text + before + word)
        if len(following) != len(start) + 1 or following[:-1] != start:
            raise UsageError(
                f"{name} cannot answer {readable(repr(word))}: its tokenizer has no single token for it behind "
                f"{readable(repr(text[-12:]))}; use options that are one token, such as yes and no, or letters"
            )
        if following[-1] in tokens:
            raise UsageError(
                f"{name} cannot tell {readable(repr(word))} from {readable(repr(tokens[following[-1]]))}: both are the "
                f"same token, {following[-1]}"
            )
        tokens[following[-1]] = word
    return tuple(tokens)


def _tokens(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
