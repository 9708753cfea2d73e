"""The sentences about units: how many independent ones stand behind the scores, and a caution where they are few."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from benchmark.judgement.scores import ScoreLike, rule_of, units_of

FEW = 10
"""Effective number of units below which a caution is given."""

UNEQUAL = 1 / 2
"""Effective number as a share of the number of units below which a caution is given."""

FEW_COVERAGE = "99 to 100 %"
"""Coverage of the 95 % intervals of accuracies of 50 to 98 % with an effective number of units below ``FEW``, over the
settings of ``scripts/docs_tables/coverage.json`` with 2,000 trials each."""

UNIT_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "cluster": "cluster",
        "scene": "scene",
        "owner": "owner",
        "near_duplicates": "group of near-duplicates",
        "pair": "pair",
    }
)
"""Names of units in sentences, by the rule that they come from (``details["resampled"]``)."""


def plural_of(rule: str) -> str:
    """Name of several units.

    >>> plural_of("owner"), plural_of("near_duplicates"), plural_of("biopsy")
    ('owners', 'groups of near-duplicates', 'biopsies')
    """
    name = UNIT_NAMES.get(rule, rule)
    if name.startswith("group of"):
        return name.replace("group", "groups", 1)
    return re.sub(r"(?<![aeiou])y$", "ie", name) + "s"


def unit_of_column(column: str) -> str:
    """The word for the clusters of a named column; ``cluster`` where its name is no word.

    >>> [unit_of_column(name) for name in ("slide_id", "scene", "owner", "folder:2", "re:([0-9]+)", "c1")]
    ['slide', 'scene', 'owner', 'cluster', 'cluster', 'cluster']
    """
    word = re.sub(r"[-_ ]?(?:id|name|code|key)$", "", column.lower())
    return word if re.fullmatch(r"[a-z]{3,20}", word) and word not in ("folder", "label", "split") else "cluster"


def are_few(count: int, effective: float) -> bool:
    """Whether units are so few, or so unequal, that reports give a caution."""
    return effective < FEW or effective < UNEQUAL * count


def _sizes(count: int, effective: Sequence[float], plural: str) -> str:
    """``10 scenes, as many as 9.9 to 10.0 of equal size``."""
    least, most = min(effective), max(effective)
    if least == count:
        return f"{count:,} {plural}"
    equal = f"{least:,.1f}" if least == most else f"{least:,.1f} to {most:,.1f}"
    return f"{count:,} {plural}, as many as {equal} of equal size"


def units_text(scores: Sequence[ScoreLike]) -> str:
    """What errs together behind the scores of a result, and how many independent units that leaves.

    Args:
        scores: all scores of one result.

    Returns:
        One or two sentences; "" where each photo (or pair) is a unit.

    >>> from types import SimpleNamespace
    >>> details = {"resampled": "owner", "units": 30, "effective_units": 8.2}
    >>> score = SimpleNamespace(n=600, value=0.5, chance=0.2, details=details)
    >>> print(units_text([score]))  # doctest: +NORMALIZE_WHITESPACE
    Photos of one owner err together: intervals and p-values are over 30 owners, as many as 8.2 of equal size. Few or
    very unequal units say little of units that were not seen. Intervals of accuracies count one that fails as a whole,
    so that with fewer than 10 units they held the truth in 99 to 100 % of simulated sets; a difference that rests on a
    few of them is a lower bound.
    """
    rules: dict[str, set[tuple[int, float]]] = {}
    for score in scores:
        rule, units = rule_of(score), score.details.get("units")
        if rule not in ("photo", "pair") and isinstance(units, int):
            rules.setdefault(rule, set()).add((units, round(units_of(score), 1)))
    sentences = []
    for rule, counts in rules.items():
        name, plural = UNIT_NAMES.get(rule, rule), plural_of(rule)
        sizes = " or ".join(
            _sizes(count, [e for c, e in counts if c == count], plural) for count in sorted(dict(counts))
        )
        sentences.append(f"Photos of one {name} err together: intervals and p-values are over {sizes}.")
    every = [pair for counts in rules.values() for pair in counts]
    if any(are_few(*pair) for pair in every):
        sentences.append(
            "Few or very unequal units say little of units that were not seen. Intervals of accuracies count one that "
            f"fails as a whole, so that with fewer than {FEW} units they held the truth in {FEW_COVERAGE} of simulated "
            "sets; a difference that rests on a few of them is a lower bound."
        )
    return " ".join(sentences)
