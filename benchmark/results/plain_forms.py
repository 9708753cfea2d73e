"""Forms that plain values of a stranger's result may have: numbers, counts, text, and objects of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from builders.outside import is_readable

Form = Callable[[Any], bool]


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_text(value: object) -> bool:
    return isinstance(value, str) and is_readable(value)


def is_scalar(value: object) -> bool:
    return value is None or is_number(value) or isinstance(value, bool) or is_text(value)


def of_each(form: Form) -> Form:
    return lambda value: isinstance(value, Mapping) and all(is_text(k) and form(v) for k, v in value.items())


COUNTS = (of_each(is_count), "an object of counts")
TEXT = (is_text, "text without control characters")
OBJECT = (lambda value: isinstance(value, Mapping), "an object")
FLAG = (lambda value: isinstance(value, bool), "true or false")
NUMBER = (is_number, "a number")
WHOLE = (is_count, "a count")
