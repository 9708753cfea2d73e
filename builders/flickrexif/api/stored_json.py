"""JSON texts in the state: addresses, Exif entries, settings."""

from __future__ import annotations

import json
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
        raise DataError(
            f"the state is damaged (a value in it is no JSON: {error}); go on with a copy of it, or with a new --state"
        ) from None
