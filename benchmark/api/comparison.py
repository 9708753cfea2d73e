"""``compare``: paired differences between results, and a gate."""

from __future__ import annotations

import dataclasses
import html
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from benchmark.compare import (
    Compared,
    Gate,
    Tie,
    compare_runs,
    comparison_text,
    difference_rows,
    gate_runs,
    gate_text,
)
from benchmark.judgement import accepted_loss
from benchmark.results import ReadRuns, Run, read_runs
from benchmark.scoring import Scored, write_scored
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
    """Encoders that are tied with the best, if there are three or more."""
    gate: Gate | None
    """The judgement whether the second is worse than the first, if ``worse_by`` was given."""

    def to_frame(self) -> pandas.DataFrame:
        """One row per difference (first minus second): 95 % interval, p-values before and after Holm's correction."""
        import pandas

        return pandas.DataFrame(difference_rows(self.rows))

    def __repr__(self) -> str:
        text = comparison_text(self.rows, self.ties)
        return text if self.gate is None else f"{gate_text(self.gate)}\n\n{text}"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


class ScoredRuns(Protocol):
    """The part of ``score``'s results that a comparison needs."""

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
    worse_by: float | None = None,
) -> Comparison:
    """Paired differences between results on the same photos, with p-values corrected for their number.

    Args:
        first: results of ``score``, or a folder of results.
        second: the same, of what it is compared with.
        tasks: patterns; all by default.
        all_metrics: every metric, not only the main ones.
        across_codecs: compare although the photos were processed by other codecs.
        across_presets: compare although presets (preprocessing, votes, probes) differ.
        worse_by: judge too whether ``second`` is worse than ``first`` by more than so many percentage points:
            ``compare("old", "new", worse_by=2).gate.passed()``.

    Raises:
        UsageError: nothing is on the same data, or ``worse_by`` is not from 0 up to 100.
        DataError: photos, codecs or presets differ, or nothing can be compared.
    """
    margin = None if worse_by is None else accepted_loss(worse_by)
    runs = _runs(first, "first"), _runs(second, "second")
    patterns = [tasks] if isinstance(tasks, str) else list(tasks)
    across = {"across_codecs": across_codecs, "across_presets": across_presets}
    rows, ties = compare_runs([*runs[0], *runs[1]], patterns, all_metrics=all_metrics, **across)
    gate = None
    if margin is not None:
        gate = gate_runs(runs[0], runs[1], patterns, margin=margin, all_metrics=all_metrics, **across)
    return Comparison(tuple(rows), tuple(ties), gate)


def _runs(results: ScoredRuns | str | Path, name: str) -> list[Run]:
    """Runs with their values by photo, as read from a folder."""
    if isinstance(results, str | Path):
        return accepted_runs(read_runs(Path(results), all_tasks()), Path(results))
    with tempfile.TemporaryDirectory(prefix=scratch_prefix()) as scratch:
        for scored in results.scored:
            write_scored(scored, Path(scratch), single=results.single)
        runs = accepted_runs(read_runs(Path(scratch), all_tasks()), Path(name))
        return [dataclasses.replace(run, folder=Path(name)) for run in runs]


def accepted_runs(read: ReadRuns, folder: Path) -> list[Run]:
    """The runs of a folder. Raises ``DataError`` if a file was refused."""
    for refusal in read.refused:
        raise DataError(f"{folder / refusal.file}: {refusal.reason}")
    return list(read.runs)
