"""``Results``: the scores of a call, to show, look up, compare and save."""

from __future__ import annotations

import fnmatch
import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.api.comparison import Comparison, accepted_runs, compare
from benchmark.api.notebook import html_table, inline_image, show_figures
from benchmark.judgement import Statement, statements
from benchmark.report import (
    COLUMN,
    checked_format,
    depth_figure,
    interval,
    markdown_table,
    percent,
    report_figure,
    score_rows,
    summary_figure,
    write_figure,
)
from benchmark.results import ANSWERS_FILE, Failure, Result, Score, metric_of, read_runs
from benchmark.scoring import Scored, write_reports, write_scored
from benchmark.tasks import all_tasks
from builders.errors import CamtraceError, UsageError, unknown_name
from builders.untrusted import read_untrusted_arrays

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure


Key = str | tuple[str, str] | tuple[str, str, str, str]
"""A task, (task, metric), or (encoder, data, task, metric)."""


class NoSuchScore(UsageError, KeyError):
    """There is no such score, or more than one. The message names the choices."""

    __str__ = CamtraceError.__str__


@dataclass(frozen=True, eq=False, repr=False)
class Results(Mapping[Key, Score]):
    """Scores of one or several encoders on one or several photo sets: a mapping from keys to ``Score``.

    ``results["probe/jpeg"]`` is the score of a task: of its only metric, or of the one that stands for it where one
    number is shown (SPD of kNN). ``results["knn/jpeg", "all-same"]`` is that of another metric. With several encoders
    or data sets the key is ``results[encoder, data, task, metric]``, and ``results.select(encoder=..., data=...)`` has
    the short ones.

    Iterating gives (task, metric), or (encoder, data, task, metric) where there are several encoders or data sets.
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
        return Results(selected, self.missing, len(selected) == 1)

    @classmethod
    def load(cls, folder: str | Path) -> Results:
        """Read the results that ``save``, or the command with ``--output``, wrote. Nothing is computed.

        Args:
            folder: with ``result.json``, or with such folders below it.

        Raises:
            DataError: there is no result, or one of them is malformed.
        """
        folder = Path(folder)
        runs = accepted_runs(read_runs(folder, all_tasks()), folder)
        scored = []
        for run in runs:
            answers = run.folder / ANSWERS_FILE
            scored.append(Scored(run.result, read_untrusted_arrays(answers) if answers.is_file() else {}))
        return cls(tuple(scored), single=len(runs) == 1 and runs[0].folder == folder)

    def __getitem__(self, key: Key) -> Score:
        """The one score of a key.

        Raises:
            UsageError, which is a KeyError too: there is none, or there are several.
        """
        if isinstance(key, tuple) and len(key) == 4:
            matching = [score for full, score in self._scores() if full == key]
            if not matching:
                raise NoSuchScore(f"there is no score {key}; list(results) has the keys")
            return matching[0]
        task, metric = key if isinstance(key, tuple) and len(key) == 2 else (key, None)
        scores = [score for _, score in self._scores()]
        of_task = [score for score in scores if score.task == task]
        if not of_task:
            raise _none("task", str(task), [score.task for score in scores])
        metrics = list(dict.fromkeys(score.metric for score in of_task))
        if metric is None and len(metrics) > 1:
            metric = _headline(str(task), metrics)
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
        several = len(self.encoders) > 1 or len(self.data) > 1
        return iter(dict.fromkeys(full if several else full[2:] for full, _ in self._scores()))

    def _scores(self) -> Iterator[tuple[tuple[str, str, str, str], Score]]:
        """Every score with its full key."""
        for result in self.results:
            names = str(result.encoder["id"]), str(result.data["name"])
            yield from (((*names, score.task, score.metric), score) for score in result.scores)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def statements(self) -> tuple[Statement, ...]:
        """What the scores show: *yes*, *no* or *undecided* about each, with its sentence (``words``).

        Holm's correction is over the scores of one encoder on one data set.
        """
        return tuple(statement for result in self.results for statement in statements(result, all_tasks()))

    def to_frame(self) -> pandas.DataFrame:
        """One row per score: encoder, data, task, metric, value, low, high (95 %), n, chance."""
        import pandas

        columns = ["encoder", "data", "task", "metric", "value", "low", "high", "n", "chance"]
        return pandas.DataFrame(score_rows(self.results), columns=columns)

    def plot(self, *tasks: str, file: str | Path | None = None, width: float = COLUMN) -> Figure:
        """A figure for a paper: these tasks of all encoders, one column wide, with 95 % intervals.

        One task of one encoder whose layers were scored is drawn over the depth of the network.

        Args:
            tasks: patterns, such as ``"probe/*"``; all traces, and what they move, by default.
            file: also write it here, as ``.pdf``, ``.svg`` (vector) or ``.png``.
            width: in inches.

        Raises:
            UsageError: there is no such task, nothing to draw, or the file has another ending.
        """
        if file is not None:
            checked_format(Path(file))
        known = list(dict.fromkeys(score.task for _, score in self._scores()))
        for pattern in tasks:
            if not fnmatch.filter(known, pattern):
                raise _none("task", pattern, known)
        figure = None
        if len(tasks) == 1 and len(self.encoders) == 1:
            figure = depth_figure(self.results, all_tasks(), tasks[0])
        if figure is None:
            figure = summary_figure(self.results, all_tasks(), tasks, width=width)
        if figure is not None and file is not None:
            write_figure(figure, Path(file))
        if figure is None:
            raise UsageError("there is no score to draw; failures says why")
        show_figures()
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
        parts += [inline_image(figure) for figure in figures if figure is not None]
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
            remarks.append("A smoke test, not evidence: bundled photos show that the installation works, nothing more.")
        most = 5
        remarks += [
            f"{'Not scored' if f.kind == 'not scored' else f'Failed: {f.kind}'} {f.name}: {f.reason}"
            for f in self.failures[:most]
        ]
        more = len(self.failures) - most
        return remarks + [f"... and {more} more failures, see results.failures"] * (more > 0)


def load_results(folder: str | Path) -> Results:
    """Read the results that ``Results.save``, or the command with ``--output``, wrote: ``Results.load``.

    Args:
        folder: with ``result.json``, or with such folders below it.

    Raises:
        DataError: there is no result, or one of them is malformed.
    """
    return Results.load(folder)


def _headline(task: str, metrics: list[str]) -> str:
    """The metric that stands for a task. Raises ``NoSuchScore`` if none does."""
    headline = [name for name in metrics if metric_of(all_tasks(), task, name).headline]
    if len(headline) != 1:
        raise NoSuchScore(f"{task} has {len(metrics)} metrics; write results[{task!r}, NAME]: {', '.join(metrics)}")
    return headline[0]


def _none(kind: str, name: str, known: list[str]) -> NoSuchScore:
    near = [task for task in known if task.rpartition("/")[2] == name.rpartition("/")[2]]  # probes are first
    meant = {name: near[0]} if near else {}
    return NoSuchScore(str(unknown_name(kind, name, dict.fromkeys(known), other_names=meant)))
