"""JSON texts in the state: addresses, Exif entries, settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from builders.errors import DataError


def stored_json(text: str) -> Any:
    """The value of a JSON text that the state stores.

    Args:
        text: as ``json.dumps`` gave it.

    Raises:
        DataError: it is no JSON, so that the state's file is damaged.

    >>> stored_json('{"o": ["https://example.org/1_o.jpg", 4000, 3000]}')["o"][1]
    4000
    """
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged_state(f"a value in it is no JSON: {error}") from None


def stored_addresses(text: str) -> dict[str, tuple[str, int, int]]:
    """Address, width and height of a photo's files by size, as the state stores them.

    Args:
        text: as ``json.dumps`` gave it.

    Raises:
        DataError: it is none, so that the state's file is damaged.

    >>> stored_addresses('{"o": ["https://example.org/1_o.jpg", 4000, 3000]}')
    {'o': ('https://example.org/1_o.jpg', 4000, 3000)}
    """
    value = stored_json(text)
    if not isinstance(value, dict) or not all(map(_is_address, value.values())):
        raise damaged_state("addresses of a photo in it are none")
    return {size: (url, width, height) for size, (url, width, height) in value.items()}


def stored_texts(text: str) -> dict[str, str]:
    """Texts by name, such as the Exif of a file by tag.

    Raises:
        DataError: it is none, so that the state's file is damaged.

    >>> stored_texts('{"Make": "Canon"}')
    {'Make': 'Canon'}
    """
    value = stored_json(text)
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise damaged_state("Exif of a file in it is none")
    return value


def _is_address(value: Any) -> bool:
    return isinstance(value, list) and [type(each) for each in value] == [str, int, int]


def damaged_state(what: str, file: Path | None = None) -> DataError:
    """The error of a state that contains what no step writes.

    Args:
        what: is wrong in it.
        file: of the state, where it is known.
    """
    subject = "the state is" if file is None else f"{file}: it is"
    return DataError(f"{subject} damaged ({what}); go on with a copy of it, or with a new --state")
