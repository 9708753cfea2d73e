"""``camtrace build publish``: plan the upload of a built folder and, with ``--push``, upload it. Private by default."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.cli import Parser, add_push, repository_name, run_command, write_record
from builders.dataset import BUILD_FILE, FAILURES_FILE, README_FILE, Build, file_sha256, read_build
from builders.errors import DataError
from builders.flickrexif import TOMBSTONES_FILE, taken_down_rows
from builders.processed import RECIPE_FOLDER, write_recipe
from builders.publish.push import PushReport, push_folder
from builders.untrusted import read_untrusted_text

PLACEHOLDER = "PATH_OR_REPO"
"""Placeholder in the code of a card for the folder, or for the repository that it is published to."""

VIEWER_MARK = "<!-- viewer -->"
"""Placeholder in a card for the address of the viewer."""

_FENCE = re.compile(r"^```(?:python|bash)\n.*?^```$", re.MULTILINE | re.DOTALL)


def viewer_address(repo: str) -> str:
    """Address of the Hub's viewer of a public data set, a page that other pages may embed.

    >>> viewer_address("me/photos")
    'https://huggingface.co/datasets/me/photos/embed/viewer'
    """
    return f"https://huggingface.co/datasets/{repo}/embed/viewer"


def card_in(text: str, repo: str) -> str:
    """The card for a repository: placeholders in code and the viewer's mark are replaced. Idempotent.

    Args:
        text: README.md of a built folder.
        repo: ``namespace/name``.

    >>> print(card_in("PATH_OR_REPO?\\n```bash\\nhf download PATH_OR_REPO\\n```\\n", "me/photos"), end="")
    PATH_OR_REPO?
    ```bash
    hf download me/photos
    ```
    """
    with_repo = _FENCE.sub(lambda fence: fence[0].replace(PLACEHOLDER, repo), text)
    viewer = (
        f"[Rows in the Hub's viewer]({viewer_address(repo)}), which shows public repositories; "
        "the address may be embedded in a page."
    )
    return with_repo.replace(VIEWER_MARK, viewer, 1)


@dataclass(frozen=True)
class Publication:
    """A planned upload."""

    folder: Path
    """Folder of the build or of its recipe."""
    repo: str
    public: bool
    build: Build
    data_files: tuple[str, ...]
    text_files: tuple[str, ...]
    """Names of text files; README.md is the last."""
    card: bytes
    """README.md for the repository: its code names the repository."""
    total_bytes: int
    note: str
    """The reason for a recipe instead of pixels, one sentence; may be empty."""


def plan_publication(folder: Path, repo: str, *, public: bool = False, recipe: bool = False) -> Publication:
    """Decide what may be published of a built folder. Touches no network.

    Images that may not be published are never in a plan. It has a *recipe* instead (ids, labels, parameters, hashes),
    from which the same bytes are rebuilt with a copy of the photos.

    Args:
        folder: a finished build.
        repo: ``namespace/name``.
        public: whether the repository is to be public.
        recipe: publish the recipe even if the pixels may be published.

    Raises:
        DataError: there is no finished build, a file is missing or damaged, pixels may not be published and builds of
            this kind have no recipe, or pixels of unknown licence would be public.
    """
    build = read_build(folder)
    _check_files(folder, build)
    if rows := taken_down_rows(folder, [shard.file for shard in build.shards]):
        raise DataError(f"{folder}: {rows} rows have been taken down since it was built; build it again (--fresh)")
    note = ""
    if recipe or not build.pixels.allowed:
        note = build.pixels.reason
        if build.kind == "recipe":
            note = ""
        elif build.kind == "processed":
            build = write_recipe(folder, folder / RECIPE_FOLDER)
            folder = folder / RECIPE_FOLDER
        else:
            raise DataError(f"{folder}: cannot be published. {build.pixels.reason}")
    elif public and build.kind != "recipe" and build.recipe.get("license", "unknown") == "unknown":
        raise DataError(
            f"{folder}: the licence of its photos is unknown, so they cannot be made public; build it again with "
            "--license (finished files are used), or publish its --recipe or a private repository"
        )
    data = tuple(shard.file for shard in build.shards)
    extra = [name for name in (FAILURES_FILE, TOMBSTONES_FILE) if (folder / name).is_file()]
    texts = (*extra, BUILD_FILE, README_FILE)
    card = card_in(read_untrusted_text(folder / README_FILE), repo).encode("utf-8")
    size = sum((folder / name).stat().st_size for name in (*data, *texts) if name != README_FILE) + len(card)
    return Publication(folder, repo, public, build, data, texts, card, size, note)


def publish(publication: Publication) -> PushReport:
    """Upload files that differ. A second call uploads nothing; a call after an interruption goes on.

    Raises:
        UsageError: the name is not a repository name, or the repository is public and ``public`` was not set.
        RemoteError: the Hub refused the upload or could not be reached.
    """
    return push_folder(
        publication.folder,
        publication.repo,
        stages=(publication.data_files, publication.text_files),
        owned=lambda path: path.startswith("data/") and path.endswith(".parquet"),
        sha256={shard.file: shard.sha256 for shard in publication.build.shards},
        contents={README_FILE: publication.card},
        public=publication.public,
        message=f"{publication.build.kind}: {', '.join(publication.build.configs)}",
    )


def describe_publication(publication: Publication) -> str:
    """The planned upload as text."""
    p = publication
    visibility = "public" if p.public else "private"
    lines = [f"{p.repo} (data set repository, {visibility} if it is created), kind: {p.build.kind}"]
    if p.note:
        lines.append(f"note: {p.note}")
    lines += [
        f"  {' and '.join(split.data_files)}  {len(split.shards)} files, {split.rows:,} rows, "
        f"{split.file_bytes / 1e6:,.1f} MB"
        for split in p.build.splits
    ]
    if p.build.shared:
        lines.append(f"  (configs share files: each photo is there once, {p.build.file_bytes / 1e6:,.1f} MB in all)")
    sizes = {README_FILE: len(p.card)}
    lines += [f"  {n}  {sizes.get(n, (p.folder / n).stat().st_size) / 1e3:,.1f} kB" for n in p.text_files]
    lines.append(f"in all {len(p.data_files) + len(p.text_files)} files, {p.total_bytes / 1e6:,.1f} MB")
    return "\n".join(lines)


def parser() -> Parser:
    """Parser of ``camtrace build publish``."""
    p = Parser(
        "camtrace build publish",
        most_used=("--repo", "--push", "--dry-run", "--public", "--recipe"),
        examples=(
            "camtrace build publish out/mine --repo OWNER/NAME",
            "camtrace build publish out/mine --repo OWNER/NAME --push",
        ),
        description="Show what would be published of a built folder; with --push, publish it.",
    )
    p.add_argument("folder", type=Path, help="a folder that a builder finished")
    p.add_argument(
        "--repo", type=repository_name, required=True, metavar="OWNER/NAME", help="data set repository on the Hub"
    )
    p.add_argument("--public", action="store_true", help="make a new repository public (default: private)")
    p.add_argument("--recipe", action="store_true", help="publish ids, labels and parameters only, no pixels")
    add_push(p)
    p.set_defaults(run=run)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(parser().parse_args(argv))


def run(arguments: argparse.Namespace) -> int:
    publication = plan_publication(arguments.folder, arguments.repo, public=arguments.public, recipe=arguments.recipe)
    print(describe_publication(publication))
    if not arguments.push:
        print("dry run: nothing was uploaded; add --push to publish this")
    report = _publish_and_print(publication) if arguments.push else None
    write_record(arguments, _record(publication, report))
    return 0


def _record(publication: Publication, report: PushReport | None) -> dict[str, Any]:
    return {
        "repo": publication.repo,
        "kind": publication.build.kind,
        "note": publication.note,
        "files": [*publication.data_files, *publication.text_files],
        "bytes": publication.total_bytes,
        "dry_run": report is None,
        "url": report and report.url,
        "uploaded": report and report.uploaded,
        "unchanged": report and report.unchanged,
        "deleted": report and report.deleted,
    }


def push_built_folder(folder: Path, repo: str, *, public: bool = False) -> None:
    """Publish a finished build, or its recipe if its pixels may not be published. Only files that differ are uploaded.

    Raises:
        DataError, UsageError, RemoteError: as ``plan_publication`` and ``publish``.
    """
    publication = plan_publication(folder, repo, public=public)
    print(describe_publication(publication))
    _publish_and_print(publication)


def _publish_and_print(publication: Publication) -> PushReport:
    report = publish(publication)
    print(f"{report.url}: {len(report.uploaded)} uploaded, {report.unchanged} unchanged, {len(report.deleted)} removed")
    return report


def _check_files(folder: Path, build: Build) -> None:
    for shard in build.shards:
        path = folder / shard.file
        if not path.is_file() or path.stat().st_size != shard.file_bytes or file_sha256(path) != shard.sha256:
            raise DataError(f"{path}: missing or not as it was built; run the builder again, it goes on")
