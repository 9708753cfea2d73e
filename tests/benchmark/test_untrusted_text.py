"""What libraries, files and code of others say is one printable line of bounded length, in results and sentences."""

import argparse
import contextlib
import dataclasses
import io
import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.audit import scan
from benchmark.bank import Bank, fill_banks
from benchmark.bank.block_files import read_block
from benchmark.bank.keys import LAYOUT
from benchmark.cli import score as score_command
from benchmark.cli.console import Console
from benchmark.cli.parser import read_toml
from benchmark.encoders import as_encoder, load_encoder
from benchmark.erasing import load_eraser
from benchmark.options import RunOptions
from benchmark.report import text
from benchmark.results import Failure, Result, read_answers
from benchmark.scoring import OUTCOME, CachedOutcome, EncoderSource, Failed, Request, run_request, tasks_run
from benchmark.views import PlainViews, iterate_views
from builders.errors import DataError
from builders.photos import PhotoSet
from tests.support.images import image_bytes
from tests.support.untrusted_text import ESCAPED, PLANTED, Where, bar_that_tells, raising


def of_a_preprocessing() -> str:
    photos = PhotoSet.of_bytes("toy", {"a": image_bytes(Image.new("RGB", (8, 8)), "PNG")})
    [views] = iterate_views(photos, [0], PlainViews(), [raising(ValueError(PLANTED))])
    return views.failure


def of_an_audited_photo() -> str:
    row: Any = SimpleNamespace(id="a", label="", split=0, source="", owner="")
    subject: Any = SimpleNamespace(head=raising(ValueError(PLANTED)))
    return scan._photo(subject, scan.Plan(), 0, 0, row, {})[0]["failure"]


def bank_of(folder: Path) -> Bank:
    (folder / "key.json").write_text(json.dumps({"layout": LAYOUT}))
    return Bank.at(folder)


def result_with(failure: dict[str, Any]) -> Result:
    facts: dict[str, Any] = {"id": "a", "dimension": 512}
    raw = Result(facts, {"name": "toy"}, {"device": "cpu"}, (), (), {}, "2026-11-20T10:00:00Z").to_json()
    return Result.from_json(json.dumps({**json.loads(raw), "failures": [failure]}), where="a.json")


def of_a_question() -> str:
    question: Any = SimpleNamespace(read_answers=raising(ValueError(PLANTED)))
    return read_answers({"knn/jpeg/found": np.zeros(1)}, {"knn/jpeg": question}).unreadable["knn/jpeg"]


def of_what_was_stored(folder: Path) -> str:
    (folder / OUTCOME).write_bytes(b"")
    printed = io.StringIO()
    with contextlib.redirect_stderr(printed):
        assert CachedOutcome(folder, {}).load() is None
    return printed.getvalue()


def of_a_task() -> str:
    job: Any = SimpleNamespace(task=SimpleNamespace(run=raising(ValueError(PLANTED))), task_input=None, cached=None)
    return tasks_run._run(job).reason


class Stubborn(torch.nn.Module):
    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError(PLANTED)


def grey(picture: Image.Image) -> np.ndarray:
    return np.zeros((3, 8, 8), np.float32)


UNKNOWN = f"Failure.__init__() got an unexpected keyword argument 'a\\x1b[2J{'x' * 300}"

WHERE = {
    "preprocessing": Where(
        "", ValueError(), lambda d, _: of_a_preprocessing(), f"preprocessing failed (ValueError: {ESCAPED})"
    ),
    "scan": Where(
        "benchmark.audit.scan.read_untrusted_arrays", ValueError(PLANTED), lambda d, _: list(scan.Scan(d, 1).blocks()),
        f"DIR/00000.parquet: damaged (ValueError: {ESCAPED}), removed; run again, it is read anew",
    ),
    "audited photo": Where("", ValueError(), lambda d, _: of_an_audited_photo(), f"ValueError: {ESCAPED}"),
    "bank": Where(
        "benchmark.bank.bank.shape_and_dtype", ValueError(PLANTED), lambda d, _: bank_of(d),
        f"DIR: no bank that can be read (ValueError: {ESCAPED})",
    ),
    "block": Where(
        "benchmark.bank.block_files.parse_arrays",
        OSError(PLANTED),
        lambda d, _: read_block(b"", "a", 0, (1, 1), "<f2"),
        f"a: no block of a bank (OSError: {ESCAPED})",
    ),
    "field": Where(
        "", ValueError(), lambda d, _: result_with({PLANTED: 1}),
        f"a.json: a field is missing or unknown ({UNKNOWN[:297]}...)",
    ),
    "answers": Where(
        "", ValueError(), lambda d, _: of_a_question(), f"its answers cannot be read (ValueError: {ESCAPED})"
    ),
    "kept": Where(
        "benchmark.scoring.tasks_run.read_untrusted_arrays", OSError(PLANTED), lambda d, _: of_what_was_stored(d),
        f"camtrace: warning: DIR: not whole (OSError: {ESCAPED}); made again\n",
    ),
    "task": Where("", ValueError(), lambda d, _: of_a_task(), f"ValueError: {ESCAPED}"),
    "toml": Where(
        "benchmark.cli.parser.read_untrusted_text", ValueError(PLANTED), lambda d, _: read_toml(Path("c.toml")),
        f"--config c.toml: not TOML ({ESCAPED})",
    ),
    "eraser": Where(
        "benchmark.erasing.folder.read_untrusted_text", ValueError(PLANTED), lambda d, _: load_eraser(d),
        f"DIR: not the form of an eraser (ValueError: {ESCAPED})",
    ),
    "module": Where(
        "", ValueError(), lambda d, _: as_encoder(Stubborn(), name="toy", preprocess=grey, device="cpu"),
        f"toy: the module cannot be copied (TypeError: {ESCAPED})",
    ),
}  # fmt: skip


@pytest.mark.parametrize("where", WHERE.values(), ids=WHERE)
def test_error_text__is_one_line_of_bounded_length(
    where: Where, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert where.heard(tmp_path, monkeypatch) == where.printed.replace("DIR", str(tmp_path))


def test_console__a_message_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(argparse.Namespace(quiet=False, verbose=True, json=False))
    console.info("scoring a on folder:b\n\x1b[2Jc")
    console.debug("a\nb")
    assert capsys.readouterr().err.splitlines() == [r"scoring a on folder:b\x0a\x1b[2Jc", r"a\x0ab"]


def test_fill_banks__the_bar_has_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[str] = []
    monkeypatch.setattr("benchmark.bank.fill.fill.progress_bar", bar_that_tells(printed))
    fill_banks(PhotoSet.of_bytes("toy", {}), PlainViews(), [], [], blocks=(), label="a\nb on c\x1b")
    assert printed == [r"a\x0ab on c\x1b"]


def test_failures__of_an_untrusted_result_are_readable() -> None:
    failure = Failure("task", "probe/jpeg\x1b", "a\nb\x1b[2J | c")
    result = Result({"id": "a"}, {"name": "toy"}, {}, (), (failure,), {}, "2026-11-20T10:00:00Z")
    assert text._failures(result).splitlines()[-1] == r"| task probe/jpeg\x1b | a\x0ab\x1b[2J \| c |"


def test_left_out__encoders_are_named_on_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "a\nb\x1b:c"
    request = Request({name: EncoderSource(partial(load_encoder, name), name)}, [], [], RunOptions(), output=tmp_path)
    score_command._print_failure(request, Failed("a", DataError("a\nb\x1b: no such file")))
    sweep = dataclasses.replace(request, together=1)
    outcome = run_request(sweep, failed=partial(score_command._print_failure, sweep))
    assert outcome.rows == ()
    printed = capsys.readouterr().err.splitlines()
    assert printed[0] == r"camtrace: a\x0ab\x1b: no such file"
    assert len(printed) == 2
    assert printed[1].startswith(r"camtrace: a\x0ab\x1b:c: unknown encoder")
