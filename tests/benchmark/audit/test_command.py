"""End to end through the real command line: files, exit status, resuming, repairs, and pages that run nothing."""

import errno
import hashlib
import io
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import datasets
import numpy as np
import pytest
from datasets import load_dataset
from PIL import Image

from benchmark.__main__ import main
from benchmark.audit import audit, card_section, scan
from benchmark.audit.repair_plan import Repair, RepairPlan
from benchmark.audit.repairs import write_repaired
from benchmark.audit.report import audit_text
from benchmark.audit.result import notebook_html, page_html
from benchmark.audit.subjects import photo_subject
from benchmark.report import write_png
from builders.errors import DataError
from builders.pixels import decode_rgb, read_definitions
from tests.benchmark.audit.planted import jpeg, opened, picture, planted
from tests.support.images import image_bytes
from tests.support.records import check_keys

pytestmark = pytest.mark.usefixtures("unpainted")

ROOT = Path(__file__).parents[3]


def write(photos, root, split=""):
    """The photos as ``<root>/<class>/<id>``."""
    for i, photo_id in enumerate(photos.ids):
        path = root / split / photos.labels.names[photos.labels.values[i]] / photo_id
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photos.read(i))
    return root


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return tmp_path / "cache"


@pytest.mark.slow
@pytest.mark.parametrize("form", ["shards", "files"])
def test_repair__by_a_processing_of_a_file_is_that_processing_by_pillow(tmp_path, cache, capsys, form):
    photos = planted("format", 0.6, 60)
    steps = '{step = "resize", width = 20, filter = "bicubic"}, {step = "webp", quality = 60}'
    (tmp_path / "mine.toml").write_text(f'schema = 1\n[[processing]]\nname = "thumb"\nsteps = [{steps}]\n')
    how = ["--repair", f"{tmp_path / 'mine.toml'}:thumb", "--form", form]
    data = f"folder:{write(photos, tmp_path / 'photos')}"
    assert main(["audit", data, *how, "--output", str(tmp_path / "out")]) == 0
    assert "processed" in capsys.readouterr().out
    out = tmp_path / "out" / "repaired"
    if form == "files":
        made = {hashlib.sha256(file.read_bytes()).hexdigest() for file in out.rglob("*.webp")}
    else:
        rows = load_dataset("parquet", data_files=[str(f) for f in out.rglob("*.parquet")], cache_dir=str(tmp_path))
        images = rows["train"].cast_column("image", datasets.Image(decode=False))["image"]
        made = {hashlib.sha256(image["bytes"]).hexdigest() for image in images}
    expected = set()
    for i in range(len(photos)):
        picture_ = decode_rgb(photos.read(i))
        height = max(1, int(20 * picture_.height / picture_.width + 0.5))
        if picture_.width > 20:
            picture_ = picture_.resize((20, height), Image.Resampling.BICUBIC)
        file = io.BytesIO()
        picture_.save(file, "WEBP", quality=60)
        expected.add(hashlib.sha256(file.getvalue()).hexdigest())
    assert made == expected
    assert read_definitions(json.loads((tmp_path / "out/repair.json").read_text())["repair"]["definitions"]).processings


@pytest.mark.slow
def test_main__files_and_exit_status(tmp_path, cache, capsys):
    data = f"folder:{write(planted('format', 0.6, 120), tmp_path / 'photos')}"
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmark.audit.report.write_png", write_png)
        assert main(["audit", data, "--output", str(out)]) == 0
    with Image.open(out / "audit.png") as picture_:
        assert picture_.width > 1000
        assert np.asarray(picture_.convert("L")).std() > 5  # something is drawn on it
    assert sorted(p.name for p in out.iterdir()) == ["audit.html", "audit.json", "audit.md", "audit.png"]
    read = json.loads((out / "audit.json").read_text())
    assert read["verdict"]["text"] in capsys.readouterr().out
    check_keys("audit.json", read)
    assert main(["audit", data, "--output", str(out), "--exit-code"]) == 1
    assert "folder:photos: confounded (0.60" in capsys.readouterr().err
    assert main(["audit", data, "--output", str(out), "--exit-code", "--threshold", "0.7"]) == 0
    assert main(["audit", data, "--output", str(out), "--card"]) == 0
    assert "camera" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--repair", "reencod"], "'reencode'"),
        (["--repair", "web:web-640"], "'web-640'"),
        (["--repair", "no.toml:thumb"], "no.toml"),
        (["--repair", "jpeg:99-420"], "95"),
        (["--threshold", "2"], "number"),
        (["--dry-run"], "--dry-run"),
        (["--workers", "0"], "needed"),
        (["--label", "colour"], "'colour'"),
        (["--label", "re:("], "not a regular expression"),
        (["--label", "folder:0"], "number"),
        (["--stream"], "--stream"),
        (["--pixels", "-1"], "--pixels"),
    ],
)
def test_main__wrong_requests_are_one_sentence(tmp_path, cache, capsys, options, message):
    data = f"folder:{write(planted('format', 0.6, 8), tmp_path / 'photos')}"
    assert main(["audit", data, "--output", str(tmp_path / "out"), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_main__label_by_folder_and_source_by_pattern(tmp_path, cache):
    root = tmp_path / "photos"
    rng = np.random.default_rng(0)
    for generator in ("dalle", "sdxl"):
        for label in ("real", "fake"):
            for i in range(20):
                path = root / generator / label / f"{i}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(jpeg(picture(rng), 90 if label == "real" else 70))
    arguments = ["audit", f"folder:{root}", "--label", "folder:2", "--source", "re:^([^/]+)/"]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0
    result = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert result["classes"] == {"fake": 40, "real": 40}
    by_name = {(q["target"], q["feature"]): q for q in result["questions"]}
    assert by_name["label", "quality"]["value"] == pytest.approx(1)
    assert by_name["label", "source"]["value"] == 0
    assert by_name["source", "quality"]["value"] == 0


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs


def test_page__untrusted_names_are_text_and_nothing_is_loaded():
    evil = "<img src=x onerror=alert(1)>\"'`|[a](http://x.y)"
    photos = planted("software", 0.9, 80)
    files = {f"{evil}{i}": photos.read(i) for i in range(80)}
    labels = [f"{evil}{v}" for v in photos.labels.values]
    result = audit(type(photos).of_bytes(f"folder:{evil}", files, labels), progress=False)
    for page in (page_html(result), notebook_html(result)):
        tags = Tags()
        tags.feed(page)
        assert not {"img", "script", "iframe", "link", "a", "object"} & set(tags.tags)
        assert not any(name.startswith("on") or name in ("style", "src", "href") for name, _ in tags.attributes)
        assert "&lt;img src=x onerror=alert(1)&gt;" in page
    page = page_html(result)
    policy = re.search(r'content="(default-src[^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "http" not in page.replace("http-equiv", "").replace("http://x.y", "")
    for text in (audit_text(result), card_section(result)):
        outside_code = re.sub(r"`[^`]*`", "", text.replace("\\`", ""))
        assert "<img" not in outside_code.replace("\\<", "")
        assert not re.search(r"(?<!\\)\]\(http", outside_code)


def test_page__the_policy_has_the_hash_of_its_style():
    import base64
    import hashlib

    page = page_html(audit(planted("format", 0.5, 40), progress=False))
    style = re.search(r"<style>(.*)</style>", page, re.S)[1]
    assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() in page


@pytest.mark.slow
def test_scan__resumes(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(scan, "BLOCK", 16)
    monkeypatch.setattr("benchmark.audit.subjects.BLOCK", 16)
    root = write(planted("format", 0.6, 80), tmp_path / "photos")
    read, original = [], scan.file_facts

    def counted(head, read_more):
        read.append(head.size)
        if len(read) == 40:
            raise KeyboardInterrupt
        return original(head, read_more)

    monkeypatch.setattr(scan, "file_facts", counted)
    with pytest.raises(KeyboardInterrupt):
        audit(f"folder:{root}", progress=False)
    first = audit(f"folder:{root}", progress=False)
    assert len(read) == 40 + 80 - 32  # two blocks of 16 were done
    assert audit(f"folder:{root}", progress=False) == first
    assert len(read) == 40 + 80 - 32
    changed = next(root.rglob("00000.img"))
    changed.write_bytes(jpeg(picture(np.random.default_rng(5), 72)))
    again = audit(f"folder:{root}", progress=False)
    assert len(read) == 40 + 80 - 32 + 16
    assert again.question("dimensions").distinct == 2
    assert audit(f"folder:{root}", workers=2, cache=tmp_path / "other", progress=False) == again


def test_scan__a_killed_worker_is_one_sentence_and_finished_blocks_are_not_read_again(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(scan, "BLOCK", 16)
    monkeypatch.setattr("benchmark.audit.subjects.BLOCK", 16)
    root, scan_block = write(planted("format", 0.6, 40), tmp_path / "photos"), scan._scan_block

    def killed_at_the_second(subject, plan, folder, number, rows, progress):
        if number == 1:
            while not (folder / "00000.parquet").exists():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        scan_block(subject, plan, folder, number, rows, progress)

    monkeypatch.setattr(scan, "_scan_block", killed_at_the_second)
    with pytest.raises(DataError, match="finished"):
        audit(f"folder:{root}", workers=2, progress=False)
    assert not multiprocessing.active_children()
    read_again = []
    monkeypatch.setattr(scan, "_scan_block", lambda *given: read_again.append(given[3]) or scan_block(*given))
    audit(f"folder:{root}", progress=False)
    assert 0 not in read_again
    assert 1 in read_again


@pytest.mark.slow
def test_scan__a_photo_that_a_failing_disk_did_not_give_is_read_by_the_next_run(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(scan, "BLOCK", 16)
    monkeypatch.setattr("benchmark.audit.subjects.BLOCK", 16)
    root = write(planted("format", 0.6, 48), tmp_path / "photos")
    whole = audit(f"folder:{root}", pixels=48, cache=tmp_path / "other", progress=False)
    lost, opened = next(root.rglob("00020.img")), os.open

    def failing(path, *arguments, **named):
        if os.fspath(path) == str(lost):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return opened(path, *arguments, **named)

    with monkeypatch.context() as fault:
        fault.setattr(os, "open", failing)
        disturbed = audit(f"folder:{root}", pixels=48, progress=False)
    assert (disturbed.photos, whole.photos) == (47, 48)
    assert [reason for _, reason in disturbed.failures] == [f"the file cannot be read ({os.strerror(errno.EIO)})"]
    read, original = [], scan.file_facts
    monkeypatch.setattr(scan, "file_facts", lambda *given: read.append(1) or original(*given))
    assert audit(f"folder:{root}", pixels=48, progress=False) == whole
    assert len(read) == 16  # its block alone


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_audit__a_class_folder_that_a_disk_does_not_list_is_no_smaller_data_set(tmp_path, cache, monkeypatch, number):
    root = write(planted("format", 0.6, 40), tmp_path / "photos")
    listed = os.scandir

    def failing(path="."):
        if str(path) == str(root / "fake"):
            raise OSError(number, os.strerror(number), str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(DataError, match=f"{os.strerror(number)}"):
        audit(f"folder:{root}", progress=False)


@pytest.mark.slow
def test_scan__a_damaged_block_is_one_sentence_and_read_again(tmp_path, cache):
    root = write(planted("format", 0.6, 40), tmp_path / "photos")
    first = audit(f"folder:{root}", progress=False)
    for pattern in ("*.npz", "*.parquet"):
        path = next((cache / "audit").rglob(pattern))
        data = path.read_bytes()
        path.write_bytes(data[:20] + b"\0" * (len(data) - 40) + data[-20:] if pattern == "*.npz" else data[:-9])
        if pattern == "*.npz":
            with pytest.raises(DataError, match="damaged"):
                audit(f"folder:{root}", progress=False)
        assert audit(f"folder:{root}", progress=False) == first


@pytest.mark.slow
def test_scan__fifos_and_links_to_devices_are_failures(tmp_path, cache):
    root = write(planted("format", 0.6, 40), tmp_path / "photos")
    os.mkfifo(root / "real" / "pipe.jpg")
    (root / "fake" / "zero.jpg").symlink_to("/dev/zero")
    (root / "fake" / "gone.jpg").symlink_to(tmp_path / "nowhere")
    result = audit(f"folder:{root}", pixels=50, near_duplicates=True, progress=False)
    assert {reason for _, reason in result.failures} == {
        "not a regular file",
        "the file cannot be read (No such file or directory)",
    }
    assert result.photos == 40


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "form"), [("jpeg:75-420", "shards"), ("reencode", "files"), ("match", "shards"), ("drop", "files")]
)
def test_repair__the_header_is_at_chance_afterwards(tmp_path, cache, how, form):
    data = f"folder:{write(planted('format', 0.5, 200), tmp_path / 'photos')}"
    out = tmp_path / "out"
    arguments = ["audit", data, "--output", str(out), "--repair", how, "--form", form, "--exit-code"]
    undecided = how != "match"  # headers that are all the same settle nothing, and no pixels were looked at
    assert main(arguments) == undecided
    before, after = (json.loads((out / name).read_text()) for name in ("audit.json", "after/audit.json"))
    plan = json.loads((out / "repair.json").read_text())
    check_keys("repair.json", plan, any_key=("classes", "by_class"))
    assert after["photos"] == plan["kept"] == (200 if how[0] in "jr" else 100)
    layers = {s["layer"]: s for s in after["layers"] if s["target"] == "label"}
    assert {s["layer"]: s for s in before["layers"]}["header"]["accuracy"] == pytest.approx(0.75, abs=0.03)
    assert layers.get("header", {"low": 0.5})["low"] <= 0.5
    assert not any(q["flagged"] and not q["content"] for q in after["questions"])
    if how == "match":  # again in the same folder: resumes with the same result
        assert main(arguments) == undecided
        assert json.loads((out / "after/audit.json").read_text()) == after


def test_repair__match_keeps_the_files_and_the_mixture(tmp_path, cache):
    import datasets

    photos = planted("format", 0.5, 200)
    root = write(photos, tmp_path / "photos")
    assert main(["audit", f"folder:{root}", "--output", str(tmp_path / "out"), "--repair", "match"]) == 0
    rows = datasets.load_dataset(str(tmp_path / "out" / "repaired"), split="train")
    rows = rows.cast_column("image", datasets.Image(decode=False))
    classes = [photos.labels.names[v] for v in photos.labels.values]
    originals = {f"{classes[k]}/{photo_id}": photos.read(k) for k, photo_id in enumerate(photos.ids)}
    counts = {}
    for row in rows:
        assert row["image"]["bytes"] == originals[row["photo_id"]]
        key = (row["label"], row["image"]["bytes"][:4] == b"\x89PNG")
        counts[key] = counts.get(key, 0) + 1
    assert counts == {(0, True): 25, (0, False): 25, (1, True): 25, (1, False): 25}


@pytest.mark.slow
def test_repair__files_of_photos_with_and_without_splits(tmp_path, cache):
    for name, splits in (("one", ["train"]), ("two", ["train", "val"])):
        for k, split in enumerate(splits):
            write(planted("format", 0.5, 80, seed=k), tmp_path / name, split)
        data = f"folder:{tmp_path / name}" + ("/train" if name == "one" else "")
        out = tmp_path / f"out-{name}"
        assert main(["audit", data, "--output", str(out), "--repair", "reencode", "--form", "files"]) == 0
        after = json.loads((out / "after" / "audit.json").read_text())
        assert after["classes"] == {"fake": 40 * len(splits), "real": 40 * len(splits)}
        folders = sorted(p.name for p in (out / "repaired").iterdir() if not p.name.startswith("."))
        assert folders == (["fake", "real"] if name == "one" else ["train", "val"])
    photos = planted("format", 0.5, 80)  # splits as given, all of them train
    subject = photo_subject(photos)
    plan = RepairPlan(Repair("match"), np.arange(80), 80, {}, ())
    written = write_repaired(plan, subject, tmp_path / "three", form="files")
    assert written.labels.names == ("fake", "real")
    assert len(written) == 80


def test_repair__a_dry_run_writes_no_photo(tmp_path, cache, capsys):
    data = f"folder:{write(planted('format', 0.5, 120), tmp_path / 'photos')}"
    assert (
        main(["audit", data, "--output", str(tmp_path / "out"), "--repair", "match", "--dry-run", "--exit-code"]) == 1
    )
    assert "120" in capsys.readouterr().out
    assert not (tmp_path / "out" / "repaired").exists()


@pytest.mark.slow
def test_repair__names_what_is_left(tmp_path, cache, capsys):
    """Half of the fakes are PNG of pixels that were JPEG at 60 before: a re-save hides the format, not that."""
    rng = np.random.default_rng(0)
    for i in range(80):
        image, fake = picture(rng, 96), i % 2
        data = image_bytes(opened(jpeg(image, 60))) if fake else jpeg(image, 90)
        path = tmp_path / "photos" / ("fake" if fake else "real") / f"{i}.img"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    arguments = ["audit", f"folder:{tmp_path / 'photos'}", "--output", str(tmp_path / "out"), "--pixels", "80"]
    assert main([*arguments, "--repair", "jpeg:90-420", "--exit-code"]) == 1
    out = capsys.readouterr().out
    assert "still there: earlier JPEG compression (V = 1.00)" in out


def test_repair__nothing_in_common(tmp_path, cache, capsys):
    data = f"folder:{write(planted('quality', 1.0, 60), tmp_path / 'photos')}"
    assert main(["audit", data, "--output", str(tmp_path / "out"), "--repair", "match"]) == 2
    assert "'fake'" in capsys.readouterr().err


def test_help__imports_no_large_package():
    program = (
        "import sys\n"
        "from benchmark.__main__ import main\n"
        "try: main(['audit', '--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'sklearn', 'matplotlib', 'datasets', 'pandas'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "--repair" in done.stdout
