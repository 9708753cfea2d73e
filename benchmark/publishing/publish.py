"""``camtrace publish``: show what is written to the Hub from a folder of results; with ``--push``, write it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmark.publishing.files import Gathered, gather_results
from benchmark.results import Result
from builders.errors import DataError, RemoteError
from builders.files import scratch_prefix, write_text_atomically
from builders.processes import notice
from builders.untrusted import files_below, from_hub


@dataclass(frozen=True)
class PublishRequest:
    """Results to publish, and where. Without ``push`` nothing is written, and the plan is printed."""

    folder: Path
    results: str
    space: str | None = None
    model_card: bool = False
    eval_yaml: bool = False
    public: bool = False
    unknown_codec: bool = False
    smoke_tests: bool = False
    push: bool = False


def publish_results(request: PublishRequest) -> dict[str, Any]:
    """Publish the results of a folder, or print what would be written, and name the refused results.

    Returns:
        What was or would be written, as values of JSON.

    Raises:
        DataError: no result of the folder can be published.
        RemoteError: as ``push``.
    """
    gathered = gather_results(request.folder, unknown_codec=request.unknown_codec, smoke_tests=request.smoke_tests)
    for objection in gathered.objections:
        print(f"not published: {objection.file}: {objection.reason}")
    if not gathered.files:
        raise DataError(f"{request.folder}: none of {len(gathered.objections)} results can be published")
    done = _publish(gathered, request) if request.push else _show(gathered, request)
    if request.eval_yaml:
        _offer_eval_yaml(gathered, push=request.push)
    if not request.push:
        print("dry run: nothing was written; add --push to publish this")
    refused = [asdict(objection) for objection in gathered.objections]
    return {"repo": request.results, "dry_run": not request.push, **done, "not_published": refused}


def publish_eraser(folder: Path, repo: str) -> None:
    """Publish an eraser's own files to a model repository on the Hub; a new repository is private."""
    from benchmark.erasing import ERASER_FILES
    from builders.publish import push_folder

    report = push_folder(
        folder,
        repo,
        stages=[[name for name in ERASER_FILES if (folder / name).is_file()]],
        owned=lambda path: False,
        public=False,
        repo_type="model",
        message="Eraser, measured on photos that it has not seen",
    )
    notice(f"{report.url}: {len(report.uploaded)} uploaded, {report.unchanged} unchanged")


def push_folder_of_results(folder: Path, repo: str, *, public: bool = False) -> None:
    """Publish every publishable result of a folder, as ``--push-to`` does after scoring, and name the others.

    Raises:
        DataError, RemoteError: as ``publish_results``.
    """
    publish_results(PublishRequest(folder, repo, public=public, push=True))


def _publish(gathered: Gathered, request: PublishRequest) -> dict[str, Any]:
    from benchmark.publishing.model_pages import model_pages
    from benchmark.publishing.repository import offer, push

    done = push(gathered.files, request.results, public=request.public, space=request.space or "")
    what = "proposed in a pull request" if done.pull_request else "added"
    print(f"{done.url}: {len(done.added)} results {what}, {len(done.present)} already there")
    if request.space and done.pull_request:
        print(f"{request.space}: not rebuilt, since the results wait in a pull request")
    elif request.space:
        from builders.publish import push_folder

        with tempfile.TemporaryDirectory(prefix=scratch_prefix()) as scratch:
            stages = _write_site(done.results, Path(scratch))
            report = push_folder(
                Path(scratch) / "site",
                request.space,
                stages=stages,
                owned=lambda path: path.startswith("encoders/measured-") and path.endswith(".js"),
                public=request.public,
                repo_type="space",
                message=f"Leaderboard of {request.results}",
            )
        print(f"{report.url}: {len(report.uploaded)} uploaded, {report.unchanged} unchanged")
    if request.model_card:
        pages, left_out = model_pages(gathered.files, request.results)
        for none in left_out:
            print(f"no model page for {none.encoder}: {none.reason}")
        for page in pages:
            try:
                url = offer(
                    page.repo, "model", {page.path: page.text.encode()}, "Add camtrace scores", pull_request=True
                )
                print(f"{page.repo}: {url or 'holds these scores already'}")
            except RemoteError as error:
                print(f"{page.repo}: no pull request ({error})")
    return {"url": done.url, "pull_request": done.pull_request, "added": done.added, "present": done.present}


def _offer_eval_yaml(gathered: Gathered, *, push: bool) -> None:
    from benchmark.publishing.model_pages import data_set_tasks
    from benchmark.publishing.repository import offer

    declared = data_set_tasks(gathered.files)
    if not declared:
        print("no eval.yaml: none of the results is on a data set of the Hub")
    for repo, text in declared.items():
        if not push:
            print(f"{repo} (data set repository): eval.yaml, as a pull request where nothing else is allowed:")
            print("\n".join(f"  | {line}" for line in text.splitlines()))
            continue
        try:
            url = offer(repo, "dataset", {"eval.yaml": text.encode()}, "Declare camtrace's tasks", pull_request=False)
            print(f"{repo}: {url or 'declares these tasks already'}")
        except RemoteError as error:
            print(f"{repo}: no eval.yaml ({error})")


def _show(gathered: Gathered, request: PublishRequest) -> dict[str, Any]:
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    from benchmark.publishing.model_pages import model_pages
    from benchmark.publishing.repository import plan

    where = ""
    try:
        with from_hub():
            planned = plan(gathered.files, request.results, request.space or "")
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError, RemoteError, RuntimeError) as error:
        where = f" (no connection to the Hub, {type(error).__name__}: shown as if the repository were empty)"
        planned = plan(gathered.files, request.results, request.space or "", ask=False)
    visibility = "public" if request.public else "private"
    state = where or (f" at {planned.head[:12]}" if planned.head else f" (does not exist: made, {visibility})")
    print(f"{request.results} (data set repository){state}: one commit, or a pull request with the results alone")
    for path in planned.present:
        print(f"  already there  {path}")
    for path, data in planned.writes.items():
        rows = f", {sum(len(r.scores) for r in planned.results.values())} rows" if path.endswith(".parquet") else ""
        print(f"  write          {path}  {len(data) / 1e3:.1f} kB{rows}")
    for refusal in planned.refused:
        print(f"  left alone     {refusal.file}  ({refusal.reason})")
    if request.space:
        with tempfile.TemporaryDirectory(prefix=scratch_prefix()) as scratch:
            stages = _write_site(planned.results, Path(scratch))
            size = sum((Path(scratch) / "site" / name).stat().st_size for stage in stages for name in stage)
        print(
            f"{request.space} (static Space): {sum(map(len, stages))} files, {size / 1e6:.2f} MB, what differs of them"
        )
    if request.model_card:
        pages, left_out = model_pages(gathered.files, request.results)
        for page in pages:
            print(f"{page.repo} (model repository of others): pull request with {page.path}:")
            print("\n".join(f"  | {line}" for line in page.text.splitlines()))
        for none in left_out:
            print(f"no model page for {none.encoder}: {none.reason}")
    sizes = {path: len(data) for path, data in planned.writes.items()}
    return {"head": planned.head, "writes": sizes, "present": planned.present}


def _write_site(results: Mapping[str, Result], scratch: Path) -> list[list[str]]:
    """The leaderboard of these results in ``scratch/site``; its files in stages, the page last."""
    from benchmark.leaderboard import build_leaderboard

    for path, result in results.items():
        write_text_atomically(scratch / "in" / path, result.to_json())
    (scratch / "in" / "results").mkdir(parents=True, exist_ok=True)
    build_leaderboard([str(scratch / "in")], scratch / "site")
    files = sorted(files_below(scratch / "site"))
    last: list[str] = [name for name in ("index.html", "README.md") if name in files]
    return [[name for name in files if name not in last], last]
