"""Regular expressions of users on names of files, with a limit of time: some take ages on a name of 40 letters."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from builders.errors import UsageError
from builders.processes import Sandbox, SandboxError

TIME_S = 10.0
"""Longest time for ``TOGETHER`` texts, in seconds."""
TOGETHER = 10_000
"""Texts of one request."""
MEMORY_BYTES = 1 << 30


def first_matches(pattern: str, texts: Sequence[str]) -> list[str | None]:
    """The first group of a pattern in each text, the whole match if it has no group; None where there is no match.

    A pattern of several repetitions is matched in a process that can be ended.

    Args:
        pattern: a regular expression.
        texts: names of files.

    Raises:
        UsageError: it is no regular expression, or takes too long.

    >>> first_matches("(a|b).jpg", ["canon/a.jpg", "c.png"])
    ['a', None]
    """
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"re:{pattern}: not a regular expression ({error})") from None
    if sum(map(pattern.count, "*+{")) < 2:
        spans = [_span(compiled, text) for text in texts]
    else:
        spans = _in_a_process(pattern, texts)
    return [text[span[0] : span[1]] if span else None for text, span in zip(texts, spans, strict=True)]


def _in_a_process(pattern: str, texts: Sequence[str]) -> list[list[int] | None]:
    sandbox = Sandbox("builders.photos.patterns:spans", timeout_s=TIME_S, memory_bytes=MEMORY_BYTES)
    found: list[list[int] | None] = []
    try:
        for start in range(0, len(texts), TOGETHER):
            part = json.dumps(list(texts[start : start + TOGETHER])).encode()
            found += sandbox.call(part, pattern, parse=list)
    except SandboxError as error:
        reason = f"matching it {error}: a repetition within a repetition, as in (x+)+, tries every division of a name"
        raise UsageError(f"re:{pattern}: {reason}") from None
    finally:
        sandbox.stop()
    return found


def spans(texts: bytes, pattern: str) -> list[list[int] | None]:
    """Begin and end of ``first_matches`` in each of the texts, which are JSON; runs in the process."""
    compiled = re.compile(pattern)
    return [_span(compiled, text) for text in json.loads(texts)]


def _span(pattern: re.Pattern[str], text: str) -> list[int] | None:
    match = pattern.search(text)
    group = 1 if pattern.groups else 0
    return list(match.span(group)) if match and match[group] is not None else None
