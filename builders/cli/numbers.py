"""Types of options that are numbers: each states its limit where it is declared, and the parser holds it."""

from __future__ import annotations

import argparse
import contextlib
import math
from collections.abc import Callable


def whole_number(least: int) -> Callable[[str], int]:
    """Whole numbers of at least ``least``, as ``type`` of an option.

    >>> whole_number(1)("12")
    12
    >>> whole_number(1)("0")
    Traceback (most recent call last):
    argparse.ArgumentTypeError: 0: at least 1 is needed
    """

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"{text}: at least {least} is needed")
        return value

    number.__name__ = "int"
    return number


def real_number(
    *, least: float = -math.inf, above: float = -math.inf, below: float = math.inf
) -> Callable[[str], float]:
    """Finite numbers of at least ``least`` that lie between ``above`` and ``below``, as ``type`` of an option.

    >>> real_number(least=0)("0.5")
    0.5
    >>> real_number(above=0)("nan")
    Traceback (most recent call last):
    argparse.ArgumentTypeError: nan: a finite number above 0 is needed
    """

    def number(text: str) -> float:
        with contextlib.suppress(ValueError):
            if text.endswith("%"):
                raise argparse.ArgumentTypeError(f"{text}: give a share, {float(text[:-1]) / 100:g}")
        value = float(text)
        if not (math.isfinite(value) and value >= least and above < value < below):
            limit = f"above {above:g}" if above > -math.inf else f"of at least {least:g}"
            limit += f" and below {below:g}" if below < math.inf else ""
            meant = perhaps_percent(value) if below == 1 else ""
            raise argparse.ArgumentTypeError(f"{text}: a finite number {limit} is needed{meant}")
        return value

    number.__name__ = "float"
    return number


def perhaps_percent(value: float) -> str:
    """What to add where a share is wanted: the share, if the number is one in percent.

    >>> perhaps_percent(90), perhaps_percent(1.5)
    (': did you mean 0.9?', '')
    """
    return f": did you mean {value / 100:g}?" if 2 <= value < 100 else ""
