"""``Results``: the scores of a call, to show, look up, compare and save."""

from __future__ import annotations

import base64
import dataclasses
import difflib
import html
import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from benchmark.compare import Compared, Tie, compare_runs, comparison_text
from benchmark.report import depth_figure, interval, markdown_table, percent, report_figure, score_rows
from benchmark.results import Failure, ReadRuns, Result, Run, Score, read_runs
from benchmark.scoring import Scored, write_reports, write_scored
from benchmark.tasks import all_tasks
from builders.errors import CamtraceError, DataError, UsageError, unknown_name
from builders.files import scratch_prefix

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Comparison:
    """Differences of every score that two encoders (or two runs of one) have on the same photos."""

    rows: tuple[Compared, ...]
    ties: tuple[Tie, ...]
    """Encoders that are tied with the best, if there are three or more."""

    def to_frame(self) -> pandas.DataFrame:
        """One row per difference (first minus second): 95 % interval, p-values before and after Holm's correction."""
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


def _runs(results: ScoredRuns | str | Path, name: str) -> list[Run]:
    """Runs with their values by photo, as read from a folder."""
    if isinstance(results, str | Path):
        return _all_of(read_runs(Path(results), all_tasks()), Path(results))
    with tempfile.TemporaryDirectory(prefix=scratch_prefix()) as scratch:
        for scored in results.scored:
            write_scored(scored, Path(scratch), single=results.single)
        runs = _all_of(read_runs(Path(scratch), all_tasks()), Path(name))
        return [dataclasses.replace(run, folder=Path(name)) for run in runs]


def _all_of(read: ReadRuns, folder: Path) -> list[Run]:
    for refusal in read.refused:
        raise DataError(f"{folder / refusal.file}: {refusal.reason}")
    return list(read.runs)


Key = str | tuple[str, str]


class NoSuchScore(UsageError, KeyError):
    """There is no such score, or more than one. The message names the choices."""

    __str__ = CamtraceError.__str__


@dataclass(frozen=True, eq=False, repr=False)
class Results(Mapping[Key, Score]):
    """Scores of one or several encoders on one or several photo sets.

    ``results["probe/jpeg"]`` is the score of a task that has one metric, ``results["knn/jpeg", "spd"]`` one of several.
    With more than one encoder or data set, ``results.select(encoder=..., data=...)`` first. Iterating gives the pairs
    (task, metric).
    """

    scored: tuple[Scored, ...]
    """Each encoder on each photo set: its ``result``, and its values by photo."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Reason by requested encoder or data set that has no result."""
    single: bool = False
    """True for a request of one encoder on one photo set."""

    @property
    def results(self) -> tuple[Result, ...]:
        """As ``result.json`` holds them: scores with provenance."""
        return tuple(scored.result for scored in self.scored)

    @property
    def encoders(self) -> tuple[str, ...]:
        """The encoders that have a result, by id."""
        return tuple(dict.fromkeys(str(result.encoder["id"]) for result in self.results))

    @property
    def data(self) -> tuple[str, ...]:
        """The photo sets that have a result, by name."""
        return tuple(dict.fromkeys(str(result.data["name"]) for result in self.results))

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Requested photos, tasks, encoders and data sets without scores, and why."""
        not_scored = tuple(Failure("not scored", name, reason) for name, reason in self.missing.items())
        return not_scored + tuple(failure for result in self.results for failure in result.failures)

    def select(self, *, encoder: str | None = None, data: str | None = None) -> Results:
        """The results of one encoder, or on one photo set.

        Raises:
            UsageError: no result has that name.
        """
        for kind, name, known in (("encoder", encoder, self.encoders), ("data", data, self.data)):
            if name is not None and name not in known:
                raise unknown_name(f"{kind} in these results", name, known)
        selected = tuple(
            scored
            for scored in self.scored
            if encoder in (None, scored.result.encoder["id"]) and data in (None, scored.result.data["name"])
        )
        return Results(selected, {}, len(selected) == 1)

    def __getitem__(self, key: Key) -> Score:
        """The one score of a task, or of (task, metric).

        Raises:
            UsageError, which is a KeyError too: there is none, or there are several.
        """
        task, metric = key if isinstance(key, tuple) else (key, None)
        scores = [score for result in self.results for score in result.scores]
        of_task = [score for score in scores if score.task == task]
        if not of_task:
            raise _none("task", str(task), [score.task for score in scores])
        metrics = list(dict.fromkeys(score.metric for score in of_task))
        if metric is None and len(metrics) > 1:
            raise NoSuchScore(f"{task} has {len(metrics)} metrics; write results[{task!r}, NAME]: {', '.join(metrics)}")
        matching = [score for score in of_task if metric in (None, score.metric)]
        if not matching:
            raise _none(f"metric of {task}", str(metric), metrics)
        if len(matching) > 1:
            choices = [f"encoder={e!r}" for e in self.encoders if len(self.encoders) > 1]
            choices += [f"data={d!r}" for d in self.data if len(self.data) > 1]
            raise NoSuchScore(
                f"{task} has {len(matching)} scores; results.select(...) takes one of {', '.join(choices)}"
            )
        return matching[0]

    def __iter__(self) -> Iterator[Key]:
        return iter(dict.fromkeys((score.task, score.metric) for result in self.results for score in result.scores))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def to_frame(self) -> pandas.DataFrame:
        """One row per score: encoder, data, task, metric, value, low, high (95 %), n, chance."""
        import pandas

        columns = ["encoder", "data", "task", "metric", "value", "low", "high", "n", "chance"]
        return pandas.DataFrame(score_rows(self.results), columns=columns)

    def plot(self, task: str | None = None) -> Figure:
        """The figure of one encoder over its photo sets, as in ``report.png``.

        Args:
            task: draw this task alone over the depth of the network, if layers were scored: ``plot("probe/jpeg")``.

        Raises:
            UsageError: there are several encoders, no such task, or nothing to draw.
        """
        if len(self.encoders) > 1:
            raise UsageError(f"one picture shows one encoder; select(encoder=...) one of: {', '.join(self.encoders)}")
        if task is not None and task not in {score.task for result in self.results for score in result.scores}:
            raise _none("task", task, [score.task for result in self.results for score in result.scores])
        if task is not None:
            figure = depth_figure(self.results, all_tasks(), task)
        else:
            figure = report_figure(self.results, all_tasks())
        if figure is None and task is not None:
            raise UsageError(f"{task} was asked of no layer: score with outputs='layers'")
        if figure is None:
            raise UsageError("there is no score to draw; failures says why")
        _show_figures()
        return figure

    def save(self, folder: str | Path) -> Path:
        """Write the files that the command writes: ``result.json``, ``answers.npz``, ``report.html``, ``report.md``,
        ``report.png``."""
        folder = Path(folder)
        for scored in self.scored:
            write_scored(scored, folder, single=self.single)
        self.save_reports(folder)
        return folder

    def save_reports(self, folder: str | Path) -> None:
        """Write the three reports alone, if the results are already written."""
        write_reports(self.results, dict(self.missing), Path(folder), [scored.photos for scored in self.scored])

    def compare(
        self, other: Results | str | Path, *, tasks: str | tuple[str, ...] = (), all_metrics: bool = False,
        across_codecs: bool = False, across_presets: bool = False,
    ) -> Comparison:  # fmt: skip
        """Paired differences between these results and others on the same photos: see ``camtrace.compare``."""

        across = {"across_codecs": across_codecs, "across_presets": across_presets}
        return compare(self, other, tasks=tasks, all_metrics=all_metrics, **across)

    def __repr__(self) -> str:
        header, rows = self._table()
        return "\n".join([markdown_table(header, rows), *self._remarks()])

    def _repr_html_(self) -> str:
        """Table and figures, for notebooks."""
        header, rows = self._table()
        figures = [report_figure(self.select(encoder=encoder).results, all_tasks()) for encoder in self.encoders]
        parts = [html_table(header, rows), *(f"<p>{html.escape(remark)}</p>" for remark in self._remarks())]
        parts += [_inline(figure) for figure in figures if figure is not None]
        return "<div>" + "\n".join(parts) + "</div>"

    def _table(self) -> tuple[list[str], list[list[str]]]:
        shown = [("encoder", len(self.encoders) > 1), ("data", len(self.data) > 1)]
        named = [name for name, several in shown if several]
        header = [*named, "task", "metric", "value %", "95 % interval", "chance %", "n"]
        rows = [
            [
                *(str(row[name]) for name in (*named, "task", "metric")),
                percent(row["value"]),
                interval(row["low"], row["high"]),
                percent(row["chance"]),
                str(row["n"]),
            ]
            for row in score_rows(self.results)
        ]
        return header, rows

    def _remarks(self) -> list[str]:
        remarks = [f"{' and '.join(self.encoders)} on {' and '.join(self.data)}."]
        if any(result.data.get("smoke_test") for result in self.results):
            remarks.append("A smoke test, not evidence: bundled photos show that the line runs, nothing more.")
        most = 5
        remarks += [
            f"{'Not scored' if f.kind == 'not scored' else f'Failed: {f.kind}'} {f.name}: {f.reason}"
            for f in self.failures[:most]
        ]
        more = len(self.failures) - most
        return remarks + [f"... and {more} more failures, see results.failures"] * (more > 0)


def html_table(header: list[str], rows: list[list[str]]) -> str:
    """An HTML table; every cell is escaped, columns of numbers are right-aligned."""
    numeric = [all(cell[:1] in "+-0123456789<" for row in rows if (cell := row[i])) for i in range(len(header))]

    def line(tag: str, cells: list[str]) -> str:
        align = [f"text-align:{'right' if right else 'left'};padding:0.1em 0.6em" for right in numeric]
        return "".join(f'<{tag} style="{a}">{html.escape(cell)}</{tag}>' for a, cell in zip(align, cells, strict=True))

    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{line('th', header)}</tr></thead><tbody>{body}</tbody></table>"


def _inline(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, facecolor="white")
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="report" style="max-width:100%" src="data:image/png;base64,{data}">'


def _none(kind: str, name: str, known: list[str]) -> NoSuchScore:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(dict.fromkeys(known)) or 'none'}"
    return NoSuchScore(f"unknown {kind} {name!r}: {hint}")


def _show_figures() -> None:
    """Let a notebook show the figure with which a cell ends, as it does once pyplot has chosen its backend."""
    import sys

    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is not None:
        from matplotlib.figure import Figure

        def png(figure: Any) -> bytes:
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=100, facecolor="white")
            return buffer.getvalue()

        formatter = shell.display_formatter.formatters["image/png"]
        if Figure not in formatter:
            formatter.for_type(Figure, png)
