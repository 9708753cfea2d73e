"""``camtrace publish``: show what a folder of results would write to the Hub; with ``--push``, write it."""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.publishing.files import Gathered, gather_results
from benchmark.results import Result
from builders.command_line import Parser
from builders.errors import DataError, RemoteError, UsageError
from builders.files import scratch_prefix, write_text_atomically
from builders.outside import files_below, from_hub

_REPO = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def parser() -> Parser:
    """The options of the command."""
    p = Parser(
        "camtrace publish",
        description="Show what would be published of a folder of results; with --push, publish it. Without the right "
        "to write, a pull request is opened.",
    )
    p.add_argument("folder", type=Path, help="what a run or sweep wrote")
    p.add_argument("--results", required=True, metavar="OWNER/NAME", help="data set repository of results")
    p.add_argument("--space", metavar="OWNER/NAME", help="also rebuild the leaderboard in this static Space")
    p.add_argument(
        "--model-card",
        action="store_true",
        help="also open pull requests with .eval_results/*.yaml in the models' own repositories",
    )
    p.add_argument(
        "--eval-yaml",
        action="store_true",
        help="also write eval.yaml, which declares their tasks, to the Hub data sets that were scored",
    )
    p.add_argument("--public", action="store_true", help="make new repositories public (default: private)")
    p.add_argument("--unknown-codec", action="store_true", help="take results whose codec canary is not known")
    p.add_argument("--smoke-tests", action="store_true", help="take results on the bundled sample")
    p.add_argument("--push", "--yes", action="store_true", help="really write (default: a dry run)")
    p.set_defaults(run=run)
    return p


def main(argv: Sequence[str]) -> int:
    return run(parser().parse_args(argv))


def run(args: argparse.Namespace) -> int:
    for option, repo in (("--results", args.results), ("--space", args.space)):
        if repo is not None and not _REPO.fullmatch(repo):
            raise UsageError(f"{option} {repo}: write OWNER/NAME")
    gathered = gather_results(args.folder, unknown_codec=args.unknown_codec, smoke_tests=args.smoke_tests)
    for objection in gathered.objections:
        print(f"not published: {objection.file}: {objection.reason}")
    if not gathered.files:
        raise DataError(f"{args.folder}: none of {len(gathered.objections)} results can be published")
    if args.push:
        _publish(gathered, args)
    else:
        _show(gathered, args)
    if args.eval_yaml:
        _offer_eval_yaml(gathered, push=args.push)
    if not args.push:
        print("dry run: nothing was written; add --push to publish this")
    return 0


def push_folder_of_results(folder: Path, repo: str, *, public: bool = False) -> None:
    """What ``--push-to`` does after scoring: every publishable result of a folder; the others are named.

    Raises:
        UsageError: not a repository's name.
        DataError, RemoteError: as ``push``.
    """
    args = parser().parse_args([str(folder), "--results", repo, "--push", *(["--public"] if public else [])])
    if not _REPO.fullmatch(repo):
        raise UsageError(f"--push-to {repo}: write OWNER/NAME")
    run(args)


def _publish(gathered: Gathered, args: argparse.Namespace) -> None:
    from benchmark.publishing.model_pages import model_pages
    from benchmark.publishing.repository import offer, push

    done = push(gathered.files, args.results, public=args.public, space=args.space or "")
    what = "proposed in a pull request" if done.pull_request else "added"
    print(f"{done.url}: {len(done.added)} results {what}, {len(done.present)} already there")
    if args.space and done.pull_request:
        print(f"{args.space}: not rebuilt, since the results wait in a pull request")
    elif args.space:
        from builders.publishing import push_folder

        with tempfile.TemporaryDirectory(prefix=scratch_prefix()) as scratch:
            stages = _write_site(done.results, Path(scratch))
            report = push_folder(
                Path(scratch) / "site",
                args.space,
                stages=stages,
                owned=lambda path: path.startswith("encoders/measured-") and path.endswith(".js"),
                public=args.public,
                repo_type="space",
                message=f"Leaderboard of {args.results}",
            )
        print(f"{report.url}: {len(report.uploaded)} uploaded, {report.unchanged} unchanged")
    if args.model_card:
        pages, left_out = model_pages(gathered.files, args.results)
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


def _show(gathered: Gathered, args: argparse.Namespace) -> None:
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    from benchmark.publishing.model_pages import model_pages
    from benchmark.publishing.repository import plan

    where = ""
    try:
        with from_hub():
            planned = plan(gathered.files, args.results, args.space or "")
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError, RemoteError, RuntimeError) as error:
        where = f" (the Hub cannot be asked, {type(error).__name__}: shown as if the repository were empty)"
        planned = plan(gathered.files, args.results, args.space or "", ask=False)
    visibility = "public" if args.public else "private"
    state = where or (f" at {planned.head[:12]}" if planned.head else f" (does not exist: made, {visibility})")
    print(f"{args.results} (data set repository){state}: one commit, or a pull request with the results alone")
    for path in planned.present:
        print(f"  already there  {path}")
    for path, data in planned.writes.items():
        rows = f", {sum(len(r.scores) for r in planned.results.values())} rows" if path.endswith(".parquet") else ""
        print(f"  write          {path}  {len(data) / 1e3:.1f} kB{rows}")
    for refusal in planned.refused:
        print(f"  left alone     {refusal.file}  ({refusal.reason})")
    if args.space:
        with tempfile.TemporaryDirectory(prefix=scratch_prefix()) as scratch:
            stages = _write_site(planned.results, Path(scratch))
            size = sum((Path(scratch) / "site" / name).stat().st_size for stage in stages for name in stage)
        print(f"{args.space} (static Space): {sum(map(len, stages))} files, {size / 1e6:.2f} MB, what differs of them")
    if args.model_card:
        pages, left_out = model_pages(gathered.files, args.results)
        for page in pages:
            print(f"{page.repo} (model repository of others): pull request with {page.path}:")
            print("\n".join(f"  | {line}" for line in page.text.splitlines()))
        for none in left_out:
            print(f"no model page for {none.encoder}: {none.reason}")


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
