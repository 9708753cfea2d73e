"""The parts of a report page, the files of a site and the copies of photos: whole values and every call."""

import base64
import dataclasses
import hashlib
import io
import json
import re
from importlib import resources
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from benchmark.leaderboard import report_page as page_module
from benchmark.leaderboard import shown_photos as photos_module
from benchmark.leaderboard import site as site_module
from benchmark.leaderboard.board_data import INTERVAL_NOTE
from benchmark.leaderboard.report_page import RANKS_NOTE, _replaced, _shortened, report_page, write_report_page
from benchmark.leaderboard.shown_photos import details_of, shown_photos
from benchmark.leaderboard.site import build_leaderboard, write_site
from benchmark.results.files import ReadResults, Refusal, ResultFile
from benchmark.results.schema import write_result
from builders.errors import UsageError
from builders.photos import PhotoSet
from tests.support.images import image_bytes

SITE = resources.files("benchmark.leaderboard") / "site"


def source(name):
    return (SITE / name).read_text(encoding="utf-8")


def policy_hash(text):
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_report_page__what_stands_in_place_of_the_boards_parts(make):
    results = [make.result("a<b", make.probes(0.5)), make.result("a<b", make.probes(0.5), data="b/c")]
    page = report_page(results, "## Head\n\ntext\n")
    style, script = source("style.css"), source("board.js")
    policy = (
        f"default-src 'none'; script-src '{policy_hash(script)}'; style-src '{policy_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    assert page.count(policy) == 1
    assert "script-src 'self'" not in page
    assert page.count(f"<style>{style}</style>") == 1
    assert page.count(f'<script type="text/plain" id="licences">{source("licences.txt")}</script>') == 1
    assert page.count(f"<script>{script}</script>") == 1
    assert "<title>camtrace report: a&lt;b</title>" in page
    assert "Its text is also in report.md." in page
    assert "Skip to the report" in page
    data = json.loads(re.search(r'<script type="application/json" id="camtrace-board">(.*?)</script>', page)[1])
    assert data["title"] == "a<b"
    assert data["source"]["interval_note"] == f"{INTERVAL_NOTE} {RANKS_NOTE}"
    assert data["report"] == [
        {"kind": "heading", "level": 2, "text": "Head"},
        {"kind": "paragraph", "text": "text"},
    ]
    [details] = data["details"].values()
    assert {file["file"] for file in details} == {"a-b/toy/result.json", "a-b/b--c/result.json"}
    assert (data["photos"], data["views"], data["refused"]) == ({}, {}, [])


def test_replaced__inserted_values_are_not_searched():
    assert _replaced("one two three two", {"two": "three", "one": "two", "three": "1"}) == "two three 1 two"
    with pytest.raises(ValueError, match="substring not found"):
        _replaced("one", {"two": ""})


def test_shortened__edges_of_equal_bins():
    even = {"edges": [0.0, 0.25, 0.5], "counts": {"a": [1, 2]}, "query": "q"}
    assert _shortened(even) == {**even, "edges": [0.0, 0.5]}
    for edges in ([0.0, 0.25 + 2e-9, 0.5], [0.0, 0.1, 0.5]):
        assert _shortened({**even, "edges": edges})["edges"] == edges
    assert _shortened({**even, "edges": [0.0, 0.25 + 5e-10, 0.5]})["edges"] == [0.0, 0.5]


def test_write_report_page__only_where_there_are_results(make, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(page_module, "report_page", lambda *given, **options: calls.append((given, options)) or "PAGE")
    write_report_page([], "text", tmp_path / "none.html")
    results = [make.result("a", make.probes(0.5))]
    write_report_page(results, "text", tmp_path / "a.html", published=True, photos=["set"])
    write_report_page(results, "text", tmp_path / "b.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "b.html"]
    assert (tmp_path / "a.html").read_text() == "PAGE"
    assert calls == [
        ((results, "text"), {"published": True, "photos": ["set"]}),
        ((results, "text"), {"published": False, "photos": ()}),
    ]


def coarse(seed, width, height):
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height))


def photo_set(name="toy"):
    files = {f"{i}.png": image_bytes(coarse(i, *size)) for i, size in enumerate(((640, 400), (50, 300), (120, 90)))}
    return PhotoSet.of_bytes(name, files)


def as_jpeg(picture, quality, subsampling):
    data = image_bytes(picture, "JPEG", quality=quality, subsampling=subsampling)
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()


def thumbnail(picture, side):
    copy = picture.copy()
    copy.thumbnail((side, side))
    return copy


def shown_result(make, strips=(), pairs=(), data="toy", **options):
    scores = [make.score("knn/adversary", "worst", 0.4, strips=list(strips))]
    scores += [make.score("retrieval/pairs", "different", 0.7, lost={"shown": list(pairs)})]
    result = make.result("e", scores, data=data)
    return dataclasses.replace(result, environment={**result.environment, "options": options})


def strip(query, near=(), names=("original", "sharpening-x2"), why="moved most"):
    return {
        "query": query,
        "why": why,
        "photos": [{"id": i, "class": "c"} for i in near],
        "views": [{"processing": name} for name in names],
    }


def test_shown_photos__the_copies_of_every_example(make):
    pairs = [{"query": "1.png", "target": "absent.png"}, {"distractor": "2.png", "other": "0.png"}]
    result = shown_result(make, [strip("0.png", ["1.png", "2.png"])], pairs, seed=3)
    shown = shown_photos([result], [photo_set(), photo_set("other")], passed_on=False)
    pictures = [coarse(i, *size) for i, size in enumerate(((640, 400), (50, 300), (120, 90)))]
    assert shown.photos == {
        "toy": {
            "1.png": as_jpeg(thumbnail(pictures[1], 160), 75, "4:2:0"),
            "2.png": as_jpeg(thumbnail(pictures[2], 160), 75, "4:2:0"),
            "0.png": as_jpeg(thumbnail(pictures[0], 160), 75, "4:2:0"),
        }
    }
    details = details_of(pictures[0], ["original", "sharpening-x2"], "0.png", 3)
    assert shown.views == {
        "toy": {"0.png": {name: as_jpeg(detail, 92, "4:4:4") for name, detail in details.items()}},
    }
    alone = shown_photos([shown_result(make, [strip("1.png", ["0.png", "2.png"])])], [photo_set()], passed_on=False)
    assert alone.photos["toy"]["0.png"] == as_jpeg(thumbnail(pictures[0], 96), 75, "4:2:0")
    assert shown_photos([shown_result(make, [], pairs, "elsewhere")], [photo_set()], passed_on=False).photos == {}
    assert shown_photos([result], [photo_set()], passed_on=True).photos == {}


@pytest.mark.parametrize(
    ("options", "seed", "upright"), [({}, 0, True), ({"seed": 7, "orientation": "stored"}, 7, False)]
)
def test_shown_photos__details_with_the_seed_and_the_orientation_of_the_run(make, monkeypatch, options, seed, upright):
    calls, decodings = [], []
    monkeypatch.setattr(photos_module, "details_of", lambda *given: calls.append(given[1:]) or {})

    def decoded(data, *, upright):
        decodings.append(upright)
        return coarse(0, 40, 30)

    monkeypatch.setattr(photos_module, "decode_rgb", decoded)
    result = shown_result(make, [strip("0.png", ["1.png"])], **options)
    shown_photos([result], [photo_set()], passed_on=False)
    assert calls == [(["original", "sharpening-x2"], "0.png", seed)]
    assert decodings == [upright, True, True]


def test_shown_photos__those_drawn_at_random_first_and_each_once(make, monkeypatch):
    added = []

    class Copies:
        shown = "SHOWN"

        def __init__(self, sets):
            added.append(sorted(sets))

        def add_photo(self, data, photo_id, side):
            added.append((data, photo_id, side))

        def add_details(self, data, photo_id, names, result):
            added.append((data, photo_id, names))

    monkeypatch.setattr(photos_module, "_Copies", Copies)
    first = shown_result(make, [strip("a", ["b"]), strip("c", [], ("x",), "drawn at random, 2")], [{"target": "t"}])
    second = shown_result(make, [strip("d", why="random")], [{"query": "q", "distractor": "r"}], "other")
    both = [photo_set(), photo_set("other")]
    assert shown_photos([first, second], both, passed_on=False) == "SHOWN"
    names = ["original", "sharpening-x2"]
    assert added == [
        ["other", "toy"],
        *(("toy", "t", 160), ("other", "q", 160), ("other", "r", 160)),
        *(("toy", "c", ["x"]), ("toy", "c", 160)),
        *(("other", "d", names), ("other", "d", 160)),
        *(("toy", "a", names), ("toy", "a", 160), ("toy", "b", 96)),
    ]


def test_details_of__of_a_window_of_512_at_multiples_of_32():
    photo = coarse(1, 600, 530)
    [detail] = details_of(photo, ["original", "none such"], "a").values()
    left, top = 32 + 216, 0 + 216  # (600 - 512) / 2 = 44 and (530 - 512) / 2 = 9, cut to multiples of 32
    assert np.array_equal(detail, photo.crop((left, top, left + 80, top + 80)))
    assert photos_module.MOST_BYTES == 1 << 20


def test_build_leaderboard__what_it_reads_counts_and_passes_on(make, tmp_path, monkeypatch):
    sources = {"one": tmp_path / "one", "two": tmp_path / "two"}
    write_result(make.result("a", make.probes(0.5)), sources["one"] / "result.json")
    write_result(make.result("a", make.probes(0.5)), sources["two"] / "same.json")
    write_result(make.result("b", make.probes(0.6)), sources["two"] / "other.json")
    (sources["two"] / "bad.json").write_text("{}")
    written = []

    def write(board, refused, folder, *, title):
        written.append(([e.name for e in board.entries if e.origin == "measured"], list(refused), folder, title))
        return 12345

    monkeypatch.setattr(site_module, "write_site", write)
    folders = [str(folder) for folder in sources.values()]
    made = build_leaderboard(folders, tmp_path / "site", title="T", published=False)
    refused = (
        Refusal("bad.json", "schema_version is None, this camtrace reads 1 to 2"),
        Refusal("same.json", "the same result as result.json"),
    )
    assert written == [(["a", "b"], list(refused), tmp_path / "site", "T")]
    assert (made.published, made.measured, made.files, made.refused, made.left_out) == (0, 2, 2, refused, ())
    assert (made.columns, made.loaded_bytes) == (1, 12345)
    with_study = build_leaderboard(folders[:1], tmp_path / "site")
    assert (with_study.published, with_study.measured, with_study.files) == (47, 1, 1)
    assert written[1][3] == "camtrace leaderboard"
    monkeypatch.setattr("benchmark.leaderboard.board.MAX_COLUMNS", 0)
    none = build_leaderboard(folders[:1], tmp_path / "site", published=False)
    why = "1 of 1 columns are left out: a board has at most 0"
    assert (none.columns, none.left_out, none.refused) == (0, (Refusal("columns", why),), ())
    assert written[2][1] == [Refusal("columns", why)]


def test_read_all__every_source_with_the_objections_of_a_board(make, monkeypatch):
    calls = []
    file = ResultFile("a.json", make.result("a", make.probes(0.5)))

    def read_results(source, objection):
        calls.append((source, objection))
        return ReadResults((file,), (Refusal(source, "why"),))

    monkeypatch.setattr(site_module, "read_results", read_results)
    read = site_module._read_all(["x", "y"])
    assert calls == [("x", site_module.objection), ("y", site_module.objection)]
    assert read == ReadResults(
        (file,), (Refusal("x", "why"), Refusal("y", "why"), Refusal("a.json", "the same result as a.json"))
    )


def test_write_site__files_sizes_and_folders_that_are_no_site(make, tmp_path):
    from benchmark.leaderboard.board import build_board
    from benchmark.leaderboard.entries import measured_entries

    board = build_board(measured_entries([ResultFile("a.json", make.result("a", make.probes(0.5)))]))
    folder = tmp_path / "site"
    loaded = write_site(board, [Refusal("x", "y")], folder, title="T")
    names = ["README.md", "board.csv", "board.js", "data.js", "data.json", "encoders", "index.html", "licences.txt"]
    assert sorted(path.name for path in folder.iterdir()) == [*names, "style.css"]
    assert loaded == sum((folder / name).stat().st_size for name in ("index.html", "style.css", "board.js", "data.js"))
    data = json.loads((folder / "data.json").read_text())
    assert (data["title"], data["refused"]) == ("T", [{"file": "x", "reason": "y"}])
    script = (folder / "data.js").read_text()
    assert script.startswith("window.CAMTRACE_BOARD={")
    assert script.endswith("};\n")
    [detail] = (folder / "encoders").iterdir()
    [entry] = board.entries
    assert detail.name == f"{entry.key}.js"
    text = detail.read_text()
    assert text.startswith(f'CAMTRACE.detail("{entry.key}",[{{"file":"a.json","result":{{')
    assert text.endswith(");\n")
    (folder / "encoders" / "measured-gone.js").write_text("")
    (folder / "encoders" / "mine.js").write_text("")
    write_site(board, [], folder, title="T")
    assert sorted(path.name for path in (folder / "encoders").iterdir()) == sorted([detail.name, "mine.js"])
    begun = tmp_path / "begun"
    (begun / "encoders").mkdir(parents=True)
    (begun / "encoders" / "measured-a.js").write_text("")
    write_site(board, [], begun, title="T")
    for name, file in (("a", "other.txt"), ("b", "encoders/mine.js"), ("c", "more/measured-a.js")):
        path = tmp_path / name / file
        path.parent.mkdir(parents=True)
        path.write_text("")
        with pytest.raises(UsageError) as error:
            write_site(board, [], tmp_path / name, title="T")
        assert str(error.value) == (
            f"--output {tmp_path / name}: it is there and is no leaderboard; choose a new folder"
        )
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError):
        write_site(board, [], tmp_path / "file", title="T")


def test_detail_files__are_those_of_a_jpeg(make):
    picture = coarse(2, 120, 90)
    address = photos_module._Copies({})._address(picture, 91)
    assert address == as_jpeg(picture, 91, "4:4:4")
    read = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    assert (read.format, read.size) == ("JPEG", (120, 90))


def test_simulated__data_sets_in_the_layout_of_a_real_one_are_named_and_no_others():
    def of(name, **evidence):
        return SimpleNamespace(data={"name": name, "evidence": evidence or None})

    say = page_module._simulated_in_layouts
    both = {"simulated": "by camtrace", "terms": "none"}
    assert say([]) == say([of("a"), of("b", simulated="yes"), of("c", terms="of use")]) == []
    assert say([of("vision:x", **both), of("b", simulated="yes"), of("vision:x", **both)]) == [
        "Simulated: no camera took the photos of vision:x."
    ]
    assert say([of("z\x1b", **both), of("a", **both)]) == [r"Simulated: no camera took the photos of z\x1b and a."]


@pytest.mark.parametrize(
    ("tasks", "subject"),
    [
        (["knn/hospital"], "hospital"),
        (["probe/stain", "knn/hospital", "knn/original"], "hospital and stain"),
        (["knn/original"], "the camera and the codec"),
        (["knn/hospital", "knn/jpeg"], "the camera and the codec"),
        (["knn/hospital", "other/x"], "the camera and the codec"),
        ([], "the camera and the codec"),
        ([f"knn/g{i}" for i in range(page_module.MOST_GROUPS + 1)], "the camera and the codec"),
    ],
)
def test_subject__given_groups_by_name_where_there_is_nothing_else(tasks, subject):
    result = SimpleNamespace(scores=[SimpleNamespace(task=task) for task in tasks])
    assert page_module._subject([result]) == subject
