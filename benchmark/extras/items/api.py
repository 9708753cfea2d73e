"""``compare_items``: paired comparison of anybody's systems on the same items."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.compare import Gate, gate_text
from benchmark.extras.items.comparison import ComparedItems, compare_rows, gate_items
from benchmark.extras.items.scores import Columns
from benchmark.extras.items.sources import read_sources
from benchmark.extras.items.text import flat_rows, items_text, write_items
from benchmark.judgement import checked_loss

if TYPE_CHECKING:
    import pandas

    from benchmark.extras.items.alignment import OnMissing
    from benchmark.extras.items.scores import OnRepeated


@dataclass(frozen=True, repr=False)
class ItemComparison:
    """Differences of systems on the same items, their ranks, and what was left out."""

    compared: ComparedItems
    gate: Gate | None
    """The judgement whether the second system is worse than the first, if ``worse_by`` was given."""

    def to_frame(self) -> pandas.DataFrame:
        """One row per pair and task (first minus second), with the names of ``differences.csv``."""
        import pandas

        return pandas.DataFrame(flat_rows(self.compared.rows))

    def save(self, folder: str | Path) -> None:
        """Write ``differences.csv``, ``ranks.csv``, ``comparison.json`` and the page ``comparison.html``."""
        write_items(self.compared, Path(folder), self.gate)

    def __repr__(self) -> str:
        text = items_text(self.compared)
        return text if self.gate is None else f"{gate_text(self.gate, unit='item')}\n\n{text}"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def compare_items(
    systems: Sequence[str | Path] | Mapping[str, pandas.DataFrame],
    *,
    item: str | None = None,
    score: str | None = None,
    cluster: str | None = None,
    task: str | None = None,
    system: str | None = None,
    tasks: str | Sequence[str] = (),
    on_missing: OnMissing = "fail",
    on_repeated: OnRepeated = "fail",
    score_range: tuple[float, float] | None = None,
    lower_is_better: bool = False,
    worse_by: float | None = None,
) -> ItemComparison:
    """Paired differences between systems on the same items: tables, frames, and logs of evaluation harnesses.

    Args:
        systems: files or folders of logs, one for each system, or frames by name.
        item: column of the items, as the option of ``camtrace compare``; the next four likewise.
        score: column of the scores; of logs, a metric or scorer.
        cluster: column of what errs together.
        task: column of the task.
        system: column of the system, where one file has several.
        tasks: patterns; all by default.
        on_missing: whether items that not all systems have are an error (``fail``), or left out and named (``drop``).
        on_repeated: whether several rows of an item are an error (``fail``), or averaged (``mean``).
        score_range: of a score; by default 0 to 1 where all scores lie there, else it is not known.
        lower_is_better: whether ranks and the gate take low scores for good.
        worse_by: judge too whether the second system is worse than the first by more than this: in points, hundredths
            of the range of scores, or where that is not known in the score's own unit.

    Raises:
        UsageError: a column is missing or not named, there is one system, or it is not clear what ``worse_by`` means.
        DataError: a file cannot be read, or systems differ in tasks or items.

    >>> import pandas
    >>> first = pandas.DataFrame({"id": range(6), "right": [1, 1, 1, 0, 1, 1]})
    >>> second = pandas.DataFrame({"id": range(6), "right": [0, 1, 0, 0, 1, 0]})
    >>> compared = compare_items({"first": first, "second": second}, item="id", score="right")
    >>> compared.to_frame()[["difference", "test", "p_value", "n"]].values.tolist()
    [[0.5, 'exact McNemar', 0.25, 6]]
    """
    if worse_by is not None:
        checked_loss(worse_by)
    paths = list(systems.items()) if isinstance(systems, Mapping) else [Path(each) for each in systems]
    patterns = [tasks] if isinstance(tasks, str) else list(tasks)
    compared, aligned = compare_rows(
        read_sources(paths, Columns(item, score, cluster, task, system), patterns),
        on_missing=on_missing,
        on_repeated=on_repeated,
        score_range=score_range,
        lower_is_better=lower_is_better,
    )
    gate = None
    if worse_by is not None:
        gate = gate_items(compared, aligned, worse_by=worse_by, lower_is_better=lower_is_better)
    return ItemComparison(compared, gate)
