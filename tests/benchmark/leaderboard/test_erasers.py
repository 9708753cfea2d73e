"""An eraser on the board: a separate row with a link to its encoder, an arrow in the plane, no part of group means."""

import dataclasses

from benchmark.cli.leaderboard import main as leaderboard
from benchmark.leaderboard.board import build_board
from benchmark.leaderboard.board_data import board_json
from benchmark.leaderboard.columns import meaning
from benchmark.leaderboard.entries import encoder_of, measured_entries
from benchmark.results import Score, read_results, write_result
from tests.benchmark.publishing.conftest import result

BASE, NAME = "timm/resnet50.a1_in1k", "leace-jpeg@01234567"


def written(folder):
    """One encoder before and after, and another eraser whose encoder is not there."""
    plain = result(encoder=BASE, value=0.9)
    for i, (base, name, value) in enumerate(((BASE, "", 0.9), (BASE, NAME, 0.3), ("timm/other", NAME, 0.4))):
        scores = (
            Score("probe/jpeg", "imagenet", "accuracy", value, value - 0.1, value + 0.1, 100, 1 / 6, {}),
            Score("probe/jpeg", "imagenet", "accuracy-knn", 0.85, 0.8, 0.9, 100, 1 / 6, {}),
            Score("knn/original", "imagenet", "accuracy", 0.7, 0.6, 0.8, 100, 0.1, {"k": 10}),
        )
        encoder = dict(plain.encoder)
        if name:
            encoder |= {
                "id": f"{base}+{name}",
                "details": {"encoder": base, "eraser": {"name": name, "method": "leace"}},
            }
        write_result(dataclasses.replace(plain, encoder=encoder, scores=scores), folder / str(i) / "result.json")
    return folder


def test_eraser__is_a_row_that_knows_its_encoder(tmp_path):
    files = read_results(str(written(tmp_path))).accepted
    entries = {entry.id: entry for entry in measured_entries(files)}
    assert len(entries) == 3
    of = {name: encoder_of(entry, entries.values()) for name, entry in entries.items()}
    assert of == {BASE: "", f"{BASE}+{NAME}": entries[BASE].key, f"timm/other+{NAME}": ""}
    board = board_json(build_board(list(entries.values())), (), "t")
    rows = {row["id"]: (row["eraser"], row["of"]) for row in board["rows"]}
    assert rows[f"{BASE}+{NAME}"] == (NAME, entries[BASE].key)
    assert rows[BASE] == ("", "")
    (jpeg,) = [c["id"] for c in board["columns"] if (c["task"], c["metric"]) == ("probe/jpeg", "accuracy")]
    (mean,) = board["group_means"][jpeg].values()
    assert (mean["mean"], mean["n"]) == (0.9, 1)  # of the encoder alone, without erasers


def test_other_readers__are_columns_next_to_the_linear_one():
    linear, knn = meaning("probe/jpeg", "accuracy"), meaning("probe/jpeg", "accuracy-knn")
    assert (linear.family, knn.family) == ("processing", "processing")
    assert (linear.label, knn.label) == ("JPEG", "JPEG, kNN reads")
    assert linear.kind == knn.kind == "trace"


def test_page__has_the_arrow_and_the_row_under_its_encoder(tmp_path, open_page):
    assert leaderboard(["--results", str(written(tmp_path / "r")), "--no-published", "-o", str(tmp_path / "site")]) in (
        0,
        None,
    )
    page = open_page((tmp_path / "site" / "index.html").as_uri())
    names = page.locator("table.board tbody:last-of-type th.name a").all_inner_texts()
    assert names.index(NAME) == names.index(BASE) + 1
    page.locator('[data-mark="arrow"] path').first.wait_for(state="attached")
    assert page.locator('[data-mark="arrow"] path').count() == 1
    assert "Arrow: from an encoder to the same one with an eraser in place." in page.content()


def test_files_of_a_row__say_what_they_were_measured_on(tmp_path):
    plain = result(encoder=BASE, value=0.9)
    environment = {**plain.environment, "codec_canary": "c" * 101, "device": "d" * 101}
    data = {**plain.data, "photos": {"train": 1234, "val": 0, "test": 5}}
    write_result(dataclasses.replace(plain, environment=environment, data=data), tmp_path / "a" / "result.json")
    without = {name: plain.environment[name] for name in plain.environment if name not in ("codec_canary", "device")}
    other = {**plain.data, "photos": None}
    write_result(dataclasses.replace(plain, environment=without, data=other), tmp_path / "b" / "result.json")
    board = build_board(measured_entries(read_results(str(tmp_path)).accepted))
    files = {f["file"]: f for row in board_json(board, (), "t")["rows"] for f in row["results"]}
    assert {name: (f["canary"], f["device"], f["photos"]) for name, f in files.items()} == {
        "a/result.json": ("c" * 100, "d" * 100, "1,234 train, 5 test"),
        "b/result.json": ("", "", ""),
    }
    assert {f["data"] for f in files.values()} == {"imagenet"}
    assert {f["created"] for f in files.values()} == {plain.created}
