"""A board as a static site: the page, its data as a script (a page opened from a file cannot fetch), JSON and CSV."""

from __future__ import annotations

import dataclasses
import fnmatch
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from benchmark.leaderboard.admission import objection
from benchmark.leaderboard.board import Board, build_board
from benchmark.leaderboard.board_data import as_json, board_csv, board_json, newest_time, script_safe
from benchmark.leaderboard.entries import Entry, measured_entries, published_entries, study_facts
from benchmark.results import ReadResults, Refusal, ResultFile, published_encoders, read_results
from builders.errors import DataError, UsageError
from builders.files import sweep_temporaries, write_text_atomically
from builders.untrusted import files_matching, list_folder

PAGE_FILES = ("index.html", "style.css", "board.js", "licences.txt")

DEFAULT_TITLE = "camtrace leaderboard"


@dataclass(frozen=True)
class WrittenSite:
    """Counts of a written leaderboard, and what is not in it."""

    published: int
    """Number of encoders of the study."""
    measured: int
    """Number of encoders of the result files."""
    files: int
    """Number of accepted result files."""
    columns: int
    refused: tuple[Refusal, ...]
    """Refused result files, with the reasons."""
    left_out: tuple[Refusal, ...]
    """Columns beyond the limit."""
    loaded_bytes: int
    """Bytes that a visitor loads at first, without the details of encoders."""


def build_leaderboard(
    sources: Sequence[str], folder: Path, *, title: str = DEFAULT_TITLE, published: bool = True
) -> WrittenSite:
    """Read results and write their leaderboard.

    Args:
        sources: folders of result files, or Hub data sets ``owner/name[@revision]``.
        folder: a new or empty folder, or an older site.
        title: heading of the page.
        published: whether to show the published encoders of the study too.

    Raises:
        UsageError: the folder holds other files.
        DataError, RemoteError: a source cannot be read.
    """
    read = _read_all(sources)
    of_study = published_entries(published_encoders(), study_facts()) if published else []
    board = build_board([*of_study, *measured_entries(read.accepted)])
    left_out = tuple(Refusal("columns", why) for why in board.left_out)
    loaded = write_site(board, [*read.refused, *left_out], folder, title=title)
    measured = len(board.entries) - len(of_study)
    refused = tuple(read.refused)
    return WrittenSite(
        len(of_study), measured, len(read.accepted), len(board.columns), refused, left_out, loaded_bytes=loaded
    )


def _read_all(sources: Sequence[str]) -> ReadResults:
    """The results of all sources, each once."""
    accepted: list[ResultFile] = []
    refused: list[Refusal] = []
    for source in sources:
        read = read_results(source, objection)
        if not read.accepted and not read.refused:
            raise DataError(f"{source}: there is no result.json; give the --output of a run")
        accepted += read.accepted
        refused += read.refused
    seen: dict[str, str] = {}
    unique = []
    for file in accepted:
        text = file.result.to_json()
        if text in seen:
            refused.append(Refusal(file.file, f"the same result as {seen[text]}"))
        else:
            seen[text] = file.file
            unique.append(file)
    return ReadResults(tuple(unique), tuple(refused))


def write_site(board: Board, refused: Sequence[Refusal], folder: Path, *, title: str) -> int:
    """Write the site into a folder that is new, empty or an older site. Equal input gives equal bytes.

    Returns:
        Bytes that a visitor loads at first: page, style, script, data.

    Raises:
        UsageError: the folder holds other files.
    """
    for path in (folder, folder / "encoders"):
        sweep_temporaries(path)
    if folder.exists() and not (folder.is_dir() and ((folder / "data.json").is_file() or _begun(folder))):
        raise UsageError(f"--output {folder}: it is there and is no leaderboard; choose a new folder")
    _write_details(board.entries, folder / "encoders")
    # The page is written last, so that it never lacks its data.
    text = as_json(board_json(board, refused, title))
    write_text_atomically(folder / "data.json", text)
    write_text_atomically(folder / "data.js", f"window.CAMTRACE_BOARD={script_safe(text)};\n")
    write_text_atomically(folder / "board.csv", board_csv(board))
    page = resources.files("benchmark.leaderboard") / "site"
    for name in PAGE_FILES:
        write_text_atomically(folder / name, (page / name).read_text(encoding="utf-8"))
    write_text_atomically(folder / "README.md", _card(board, title))
    return sum((folder / name).stat().st_size for name in ("index.html", "style.css", "board.js", "data.js"))


def _begun(folder: Path) -> bool:
    """Whether a folder is empty, or holds only details of encoders of an interrupted run."""
    _, folders, files = list_folder(folder)
    if files or folders not in ([], ["encoders"]):
        return False
    _, folders, files = list_folder(folder / "encoders", may_be_absent=True)
    return not folders and all(fnmatch.fnmatchcase(name, "measured-*.js") for name in files)


def _card(board: Board, title: str) -> str:
    """README.md of a static Space: front matter for the Hub, and a description."""
    import jinja2

    template = (resources.files("cards") / "leaderboard.md.jinja").read_text(encoding="utf-8")
    published_rows = sum(entry.origin == "published" for entry in board.entries)
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(template).render(
        title=title,
        published=published_rows,
        measured=len(board.entries) - published_rows,
        generated=newest_time(board),
    )


def _write_details(entries: Iterable[Entry], folder: Path) -> None:
    """Write the full results of each measured encoder, which the page loads on demand."""
    wanted = set()
    for entry in entries:
        if not entry.files:
            continue
        results = [{"file": f.file, "result": dataclasses.asdict(f.result)} for f in entry.files]
        name = f"{entry.key}.js"
        wanted.add(name)
        text = f"CAMTRACE.detail({json.dumps(entry.key)},{script_safe(as_json(results))});\n"
        write_text_atomically(folder / name, text)
    for path in files_matching(folder, "measured-*.js"):
        if path.name not in wanted:
            path.unlink()
