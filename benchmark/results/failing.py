"""When an encoder has failed on a photo set, although a result of it may hold scores."""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.options import MIN_USABLE
from benchmark.results.schema import Result


def failed_encoder(result: Result) -> str:
    """Why the encoder of a result has failed on its photos; "" if it has not. Such a result is not compared or ranked.

    Scores on the photos that an encoder could take are not those of the set: it would choose its own questions.

    Args:
        result: untrusted; its fields have their forms.
    """
    reason = next((failure.reason for failure in result.failures if failure.kind == "encoder"), "")
    if reason:
        return reason
    counts = result.data.get("photos")
    count = sum(counts.values()) if isinstance(counts, Mapping) else 0
    failed = len({failure.name for failure in result.failures if failure.kind == "photo"})
    if count - failed < MIN_USABLE * count:
        return f"{failed} of {count} photos failed, more than {1 - MIN_USABLE:.0%}"
    return ""
