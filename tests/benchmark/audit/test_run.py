"""What an audit, its files and a repair are given, and what is printed: recorded calls, with doubles of the steps."""

import errno
import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.audit import repairs, report, run, write_audit
from benchmark.audit.repair_plan import Repair, RepairPlan
from benchmark.audit.report import audit_text
from benchmark.audit.result import page_html
from benchmark.audit.scan import Plan
from benchmark.audit.subjects import StreamedSubject, photo_subject
from benchmark.judgement import ConfoundVerdict
from builders.errors import DiskError, UsageError
from builders.photos import PhotoSet
from tests.benchmark.audit.test_report import AUDIT
from tests.benchmark.audit.test_verdict import layer, question

PHOTOS = PhotoSet.of_bytes("toy", {f"{i}": b"" for i in range(8)}, ["x", "y"] * 4)


def test_share__of_a_stream_without_a_limit_is_not_known():
    stream = StreamedSubject("hub:x", iter(()), None)
    assert run._share(0, stream, None) == 0
    with pytest.raises(UsageError) as error:
        run._share(5, stream, None)
    assert str(error.value) == (
        "--pixels of a streamed data set needs --limit: how many photos there are is not known before"
    )


def test_write_audit__four_files_and_the_disk_that_takes_none(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(report, "draw_audit", lambda audit, path: drawn.append((audit, path)))
    audit = replace(AUDIT, questions=AUDIT.questions[1:])
    write_audit(audit, tmp_path)
    assert drawn == [(audit, tmp_path / "audit.png")]
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "audit.json": audit.to_json(), "audit.md": audit_text(audit), "audit.html": page_html(audit),
    }  # fmt: skip

    def full(path, text):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(report, "write_text_atomically", full)
    with pytest.raises(DiskError) as error:
        write_audit(audit, tmp_path)
    assert f"--output {tmp_path}" in str(error.value)
    assert "facts that were read are saved" in str(error.value)


@pytest.fixture
def repaired(monkeypatch, tmp_path):
    """Arguments of a repair whose steps are doubles, and their calls."""
    calls: list = []
    subject = photo_subject(PHOTOS)
    by_class = {f"c{i:02d}": (1000 + i, i) for i in range(12)}
    plan = RepairPlan(Repair("match", 80, "4:2:0"), np.array([0, 3]), 8, by_class, ("format",), ("One.", "Two."))
    verdict = ConfoundVerdict("no", "No confound found", "After.", 0.0, True)
    after = replace(
        AUDIT, photos=1234, verdict=verdict, findings=("Finding.",), questions=(question("make", value=0.3),),
        layers=(layer("exif", 0.6),),
    )  # fmt: skip

    @contextmanager
    def scanned(*given, **options):
        calls.append(("scanned", given, options))
        yield "scan"

    def recorded(name, value):
        monkeypatch.setattr(repairs, name, lambda *given, **options: calls.append((name, given, options)) or value)

    recorded("open_subject", subject)
    monkeypatch.setattr(repairs, "scanned", scanned)
    monkeypatch.setattr(repairs, "default_cache", lambda: Path("usual"))
    recorded("plan_repair", plan)
    recorded("write_repaired", PHOTOS)
    recorded("audit", after)
    recorded("write_audit", None)
    args = SimpleNamespace(
        data="folder:my photos", label="l", source="s", owner="o", limit=9, workers=3, repair="match", dry_run=False,
        output=tmp_path, form="files", pixels=4, seed=5,
    )  # fmt: skip
    return SimpleNamespace(args=args, calls=calls, subject=subject, plan=plan, after=after)


SAID = [
    "", "Repair:", "  - One.", "  - Two.",
    *(f"      c{i:02d}: {1000 + i:,} -> {i}" for i in range(10)),
]  # fmt: skip


@pytest.mark.parametrize("form", ["files", "shards"])
def test_repair__what_it_does_and_prints(repaired, capsys, tmp_path, form):
    repaired.args.form = form
    before = replace(AUDIT, layers=(layer("exif", 0.9),))
    assert repairs.repair(before, repaired.args) is repaired.after
    assert repaired.calls == [
        ("open_subject", ("folder:my photos",), {"label": "l", "source": "s", "owner": "o", "limit": 9}),
        ("scanned", (repaired.subject, Plan(), Path("usual")), {"workers": 3}),
        ("plan_repair", (Repair("match"), before, repaired.subject, "scan"), {}),
        ("write_repaired", (repaired.plan, repaired.subject, tmp_path / "repaired"), {"form": form, "workers": 3}),
        ("audit", (PHOTOS,), {"pixels": 4, "workers": 3, "seed": 5}),
        ("write_audit", (repaired.after, tmp_path / "after"), {}),
    ]
    both = f"--data 'folder:my photos' --data 'hub:{tmp_path}/repaired?label=label'"
    assert capsys.readouterr().out.splitlines() == [
        *SAID,
        "", f"After it (1,234 photos in {tmp_path / 'repaired'}):", "No confound found. After.", "  - Finding.",
        "  - label from the exif: 60 % (chance 50 %, 90 % before)", "  - still there: make (V = 0.30)",
        f"written to {tmp_path / 'after'}",
        *([f"scores before and after: camtrace score --model MODEL {both}"] if form == "shards" else []),
    ]  # fmt: skip
    assert json.loads((tmp_path / "repair.json").read_text()) == json.loads(
        json.dumps(repairs.described(repaired.plan))
    )
