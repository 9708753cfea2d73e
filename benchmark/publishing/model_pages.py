"""Scores for pages of models and data sets on the Hub: ``.eval_results/*.yaml`` of a model, ``eval.yaml`` of data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from benchmark.publishing.files import PublishedFile
from benchmark.publishing.provenance import HUB_MODEL
from benchmark.results import Result, Score, folder_name, metric_of, subject_of
from benchmark.tasks import all_tasks

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class ModelPage:
    """One file for a model repository."""

    repo: str
    path: str
    text: str


@dataclass(frozen=True)
class NoPage:
    """Why a result is not shown on a model page."""

    encoder: str
    reason: str


def model_pages(files: Iterable[PublishedFile], results_repo: str) -> tuple[list[ModelPage], list[NoPage]]:
    """Files for repositories of models, one per result, and which results have none and why.

    Args:
        files: published results.
        results_repo: where they are published, the source that each entry names.
    """
    from huggingface_hub import constants

    pages, left_out = [], []
    for file in files:
        encoder, data = str(file.result.encoder["id"]), str(file.result.data["name"])
        if not HUB_MODEL.fullmatch(encoder):
            left_out.append(NoPage(encoder, "it is not a model repository of the Hub"))
        elif not (data.startswith("hub:") and data.count("/") == 1):
            left_out.append(NoPage(encoder, f"{data} is not a data set of the Hub"))
        else:
            source = f"{constants.ENDPOINT}/datasets/{results_repo}/blob/main/{file.path}"
            text = yaml.safe_dump(_entries(file.result, source), sort_keys=False, allow_unicode=True)
            path = f".eval_results/camtrace-{folder_name(data.removeprefix('hub:'))}.yaml"
            pages.append(ModelPage(encoder.partition("@")[0], path, text))
    return pages, left_out


def task_id(task: str) -> str:
    """The Hub's id of a task.

    >>> task_id("probe/jpeg"), task_id("knn/resizing"), task_id("retrieval/pairs")
    ('jpeg-probe', 'resizing-knn-spd', 'paircams-retrieval')
    """
    return all_tasks()[task].family.hub_id.format(subject=subject_of(task))


def _is_headline(score: Score) -> bool:
    """True if a score is the main number of its task; the Hub shows one number per task."""
    return score.task in all_tasks() and metric_of(all_tasks(), score.task, score.metric).headline


def eval_yaml(name: str, description: str, tasks: Sequence[str], config: str, split: str) -> str:
    """``eval.yaml`` of a data set, which declares the tasks of camtrace that it serves.

    The Hub reads it once its list of frameworks holds camtrace and the data set is on its list of benchmarks; until
    then the file does nothing.

    Args:
        name: of the data set, for people.
        description: one line.
        tasks: of camtrace, such as ``probe/make``.
        config: of the data set; ``{}`` stands for the task's subject (``make``).
        split: that is scored.

    >>> print(eval_yaml("FlickrExif", "Real cameras.", ["probe/iso"], "{}", "test"), end="")
    name: FlickrExif
    description: Real cameras.
    evaluation_framework: camtrace
    tasks:
    - id: iso-probe
      config: iso
      split: test
    """
    rows = [{"id": task_id(t), "config": config.format(subject_of(t).replace("-", "_")), "split": split} for t in tasks]
    about = {"name": name, "description": description, "evaluation_framework": "camtrace", "tasks": rows}
    return yaml.safe_dump(about, sort_keys=False, allow_unicode=True)


def data_set_tasks(files: Iterable[PublishedFile]) -> dict[str, str]:
    """``eval.yaml`` by Hub data set, over all results on it: the tasks that were scored there."""
    by_repo: dict[str, dict[str, Result]] = {}
    for file in files:
        name = str(file.result.data["name"])
        if name.startswith("hub:") and name.count("/") == 1:
            for score in file.result.scores:
                if _is_headline(score):
                    by_repo.setdefault(name.removeprefix("hub:"), {}).setdefault(score.task, file.result)
    texts = {}
    for repo, tasks in by_repo.items():
        result = next(iter(tasks.values()))
        splits = result.data.get("photos")
        tested = isinstance(splits, dict) and bool(splits.get("test"))
        config = str((result.data.get("evidence") or {}).get("config", "default"))
        about = "What encoders know about camera and codec, and how much it costs"
        texts[repo] = eval_yaml(
            repo.partition("/")[2], about, sorted(tasks), config, "test" if tested else "validation"
        )
    return texts


def _entries(result: Result, source: str) -> list[dict[str, Any]]:
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    revision = str((result.data.get("evidence") or {}).get("revision", ""))
    entries = []
    for score in result.scores:
        if not _is_headline(score):
            continue
        entry = EvalResultEntry(
            dataset_id=str(result.data["name"]).removeprefix("hub:"),
            task_id=task_id(score.task),
            value=round(100 * score.value, 2),
            dataset_revision=revision if _COMMIT.fullmatch(revision) else None,
            date=result.created,
            source_url=source,
            source_name="camtrace results",
            notes=_notes(score, result),
        )
        entries.append(entry)
    return eval_result_entries_to_yaml(entries)


def _notes(score: Score, result: Result) -> str:
    protocol = score.details.get("protocol")
    return (
        f"{score.metric} in %, 95 % interval {100 * score.low:.2f} to {100 * score.high:.2f}, chance "
        f"{100 * score.chance:.2f}, {score.n} photos{f', protocol {protocol}' if isinstance(protocol, str) else ''}, "
        f"codec canary {result.environment.get('codec_canary')}, camtrace {_version(result)}"
    )


def _version(result: Result) -> str:
    versions = result.environment.get("versions")
    return str(versions.get("camtrace")) if isinstance(versions, dict) else "of unknown version"
