"""``camtrace.compare``: results against results on the same photos, photo by photo."""

from __future__ import annotations

import dataclasses
import html
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from benchmark.results import ReadRuns, Run, read_runs
from benchmark.scoring import Scored, write_scored
from benchmark.study import Compared, Tie, compare_runs, comparison_text
from benchmark.tasks import all_tasks
from builders.errors import DataError
from builders.files import scratch_prefix

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, repr=False)
class Comparison:
    """Differences of every score that two encoders (or two runs of one) have on the same photos."""

    rows: tuple[Compared, ...]
    ties: tuple[Tie, ...]
    """Who is tied with the best, where there are three or more."""

    def to_frame(self) -> pandas.DataFrame:
        """One row a difference (first minus second): 95 % interval, p-values before and after Holm's correction."""
        import pandas

        columns = ["data", "task", "metric", "first", "second", "first_value", "second_value"]
        rows = [
            {
                **{name: getattr(row, name) for name in columns},
                "difference": row.difference.value,
                "low": row.difference.low,
                "high": row.difference.high,
                "p_value": row.difference.p_value,
                "holm_p": row.holm_p,
                "n": row.difference.n,
            }
            for row in self.rows
        ]
        return pandas.DataFrame(rows)

    def __repr__(self) -> str:
        return comparison_text(self.rows, self.ties)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


class ScoredRuns(Protocol):
    """What ``score`` gives, as far as a comparison asks it."""

    @property
    def scored(self) -> tuple[Scored, ...]: ...

    @property
    def single(self) -> bool: ...


def compare(
    first: ScoredRuns | str | Path,
    second: ScoredRuns | str | Path,
    *,
    tasks: str | Sequence[str] = (),
    all_metrics: bool = False,
    across_codecs: bool = False,
    across_presets: bool = False,
) -> Comparison:
    """Paired differences between results on the same photos, with p-values corrected for their number.

    Args:
        first, second: results of ``score``, or folders of results.
        tasks: patterns; all by default.
        all_metrics: every metric, not only the main ones of each task.
        across_codecs: compare although the photos were processed by other codecs.
        across_presets: compare although presets (preprocessing, votes, probes) differ.

    Raises:
        UsageError: nothing is on the same data.
        DataError: photos, codecs or presets differ, or nothing can be compared.
    """
    runs = [*_runs(first, "first"), *_runs(second, "second")]
    patterns = [tasks] if isinstance(tasks, str) else list(tasks)
    rows, ties = compare_runs(
        runs, patterns, all_metrics=all_metrics, across_codecs=across_codecs, across_presets=across_presets
    )
    return Comparison(tuple(rows), tuple(ties))


def _runs(given: ScoredRuns | str | Path, name: str) -> list[Run]:
    """Runs with their answers by photo, as they are read from a folder."""
    if isinstance(given, str | Path):
        return _all_of(read_runs(Path(given), all_tasks()), Path(given))
    with tempfile.TemporaryDirectory(prefix=scratch_prefix()) as scratch:
        for one in given.scored:
            write_scored(one, Path(scratch), single=given.single)
        runs = _all_of(read_runs(Path(scratch), all_tasks()), Path(name))
        return [dataclasses.replace(run, folder=Path(name)) for run in runs]


def _all_of(read: ReadRuns, folder: Path) -> list[Run]:
    for refusal in read.refused:
        raise DataError(f"{folder / refusal.file}: {refusal.reason}")
    return list(read.runs)
