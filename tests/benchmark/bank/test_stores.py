"""Files of banks without a pass: rows, markers, keys and block files, written by hand and read back."""

import dataclasses
import io
import json
import os
import pickle
import zlib

import numpy as np
import pytest

from benchmark.bank import Bank, BankView, BlockBank, Blocks, blocks_bytes, key_hash, merge_blocks
from benchmark.bank.block_files import block_bytes, read_block, view_path
from benchmark.bank.view_file import Block, ViewFile, check_key
from benchmark.encoders import Output
from builders.cluster import StorageFolder
from builders.errors import DataError
from builders.files import temporary_path

VIEWS = {"plain": {"kind": "plain"}, "other": {"kind": "other"}}
LAYER = Output("layers[0]:max", 0, 12, "block", "max", 2, "hooks")


def key_of(count=70, dimension=3, storage="float32", **more):
    return {
        "layout": 2,
        "encoder": {"id": "toy", "dimension": dimension},
        "photos": {"count": count, "bytes": "1f"},
        "storage": storage,
        **more,
    }


def rows_of(count, start=0):
    return np.arange(start, start + 3 * count, dtype=np.float32).reshape(count, 3)


def filled(root, key=None, views=VIEWS, **options):
    """A bank of 70 photos whose first view is complete."""
    bank = Bank.open(root, key or key_of(), views, **options)
    bank.write_rows("plain", 0, rows_of(70))
    bank.finish_block("plain", 0, {"7": "broken", "3": "cut"}, {"a": 60, "b": 4})
    bank.finish_block("plain", 1, {"66": "gone"}, {"b": 6})
    return bank


def test_check_key__writes_where_nothing_is_and_refuses_another(tmp_path):
    path = tmp_path / "bank" / "key.json"
    path.parent.mkdir()
    check_key(path, {"b": 1, "a": [2]})
    written = path.read_text()
    assert json.loads(written) == {"a": [2], "b": 1}
    check_key(path, {"a": [2], "b": 1})
    path.write_text("")  # a crash of the machine may leave a file without content
    check_key(path, {"a": [2], "b": 1})
    assert path.read_text() == written
    with pytest.raises(DataError, match=f"{path.parent}"):
        check_key(path, {"a": [2], "b": 2})
    assert path.read_text() == written


def test_blocks__of_small_and_large_sets():
    for photos, size in ((0, 64), (1, 64), (64, 64), (65, 64), (20_000, 64), (20_001, 1024)):
        blocks = Blocks(photos)
        assert blocks.size == size
        assert [i for block in range(len(blocks)) for i in blocks.photos_of(block)] == list(range(photos))


def test_bank_view__reads_slices_and_rows_as_float32():
    stored = rows_of(9).astype(np.float16)
    for rows in ([2, 3, 4, 5], [5, 1, 1, 8], [4, 6, 8], [3, 4, 9 - 1], []):
        view = BankView(stored, np.array(rows, dtype=np.int64))
        assert (view.shape, len(view)) == ((len(rows), 3), len(rows))
        some = np.array([0, -1][: len(rows)], dtype=int)
        for at in (slice(0, len(rows)), slice(1, 3), slice(0, 0), slice(None, None, 2), some):
            read = view[at]
            assert read.dtype == np.float32
            np.testing.assert_array_equal(read, stored[np.array(rows, dtype=int)[at]])


def test_bank__what_markers_say(tmp_path):
    bank = filled(tmp_path)
    assert (bank.names, bank.complete, bank.encoder, bank.dim) == (("plain", "other"), False, "toy", 3)
    assert (bank.missing("plain"), bank.missing("other")) == (set(), {0, 1})
    assert (bank.is_finished("plain", 1), bank.is_finished("other", 1)) == (True, False)
    assert bank.missing_bytes() == 70 * 3 * 4
    bank.finish_block("other", 1, {"66": "second reason", "67": "also"}, {"c": 6})
    assert bank.missing_bytes() == 64 * 3 * 4
    assert list(bank.failures().items()) == [("7", "broken"), ("3", "cut"), ("66", "gone"), ("67", "also")]
    assert list(bank.source_jpeg().items()) == [("a", 60), ("b", 10)]
    bank.finish_block("other", 0, {}, {})
    assert (bank.complete, bank.missing_bytes()) == (True, 0)
    assert bank.view("plain", [69, 1])[0:2].tolist() == [[207, 208, 209], [3, 4, 5]]
    assert bank.view("other", [0])[0:1].tolist() == [[0, 0, 0]]  # no row was written
    assert Bank.look(tmp_path, key_of(), VIEWS).complete


def test_look__changes_nothing(tmp_path):
    bank = Bank.look(tmp_path, key_of(), VIEWS)
    assert (bank.missing("plain"), bank.missing_bytes()) == ({0, 1}, 2 * 70 * 3 * 4)
    assert list(tmp_path.iterdir()) == []
    assert Bank.look(tmp_path, key_of(), VIEWS, LAYER).missing_bytes() == 2 * 70 * 2 * 4
    assert Bank.look(tmp_path, key_of(storage="float16"), VIEWS).missing_bytes() == 2 * 70 * 3 * 2


def test_open__outputs_of_a_view_lie_next_to_its_embedding(tmp_path):
    filled(tmp_path)
    layer = Bank.open(tmp_path, key_of(), VIEWS, output=LAYER)
    assert (layer.dim, layer.output, layer.missing("plain")) == (2, LAYER, {0, 1})
    layer.write_rows("plain", 0, np.ones((64, 2)))
    layer.finish_block("plain", 0, {}, {})
    folders = Bank.at(layer.folder)
    assert len(folders.names) == 4
    assert sorted(len(folders.missing(name)) for name in folders.names) == [0, 1, 2, 2]
    assert folders.check() == {}


@pytest.mark.parametrize("wrong", ["none", "layout", "broken", "views"])
def test_at__what_is_no_bank(tmp_path, wrong):
    folder = filled(tmp_path).folder
    key = folder / "key.json"
    if wrong == "none":
        key.unlink()
    elif wrong == "layout":
        key.write_text(json.dumps({**key_of(), "layout": 1}))
    elif wrong == "broken":
        key.write_text("{}")
    else:
        next((folder / "views").iterdir()).joinpath("key.json").write_text("[]")
    message = "a bank of layout 1; this version reads layout 2" if wrong == "layout" else r"no bank that can be read \("
    with pytest.raises(DataError, match=rf"^{folder}: {message}"):
        Bank.at(folder)


def test_open__finished_blocks_that_differ_are_made_again_unless_unchecked(tmp_path, capsys):
    bank = filled(tmp_path)
    bank.write_rows("plain", 69, np.full((1, 3), 5.0))
    assert bank.check() == {"plain": [1]}
    assert Bank.open(tmp_path, key_of(), VIEWS, check=False).missing("plain") == set()
    assert capsys.readouterr().err == ""
    again = Bank.open(tmp_path, key_of(), VIEWS)
    assert again.missing("plain") == {1}
    warned = capsys.readouterr().err
    assert warned.startswith(f"camtrace: warning: toy: {bank.folder}/views/")
    assert warned.endswith(": plain: 1 of 2 finished blocks do not match their checksums; made again\n")
    assert Bank.open(tmp_path, key_of(), VIEWS, fresh=("plain",)).missing("plain") == {0, 1}


def test_adopt__moves_views_that_the_bank_lacks_and_can_be_done_again(tmp_path):
    stand_in = key_of(photos={"count": 70, "bytes": "unread 1"})
    Bank.adopt(tmp_path, key_of(), stand_in)  # there is none
    assert list(tmp_path.iterdir()) == []
    filled(tmp_path, stand_in)
    Bank.adopt(tmp_path, key_of(), stand_in)
    bank = Bank.open(tmp_path, key_of(), VIEWS)
    assert (bank.missing("plain"), bank.missing("other")) == (set(), {0, 1})
    assert [path.name for path in tmp_path.iterdir()] == [bank.folder.name]
    second = filled(tmp_path, stand_in)
    second.write_rows("plain", 0, np.zeros((70, 3)))
    Bank.adopt(tmp_path, key_of(), stand_in)
    assert bank.view("plain", [1])[0:1].tolist() == [[3, 4, 5]]  # its own stays
    assert [path.name for path in tmp_path.iterdir()] == [bank.folder.name]


def view_file(tmp_path, dtype="float32"):
    return ViewFile.open(tmp_path / "view", {"a": 1}, (70, 3), dtype)


def test_view_file__a_marker_of_another_block_or_form_is_damage(tmp_path):
    view = view_file(tmp_path)
    view.ensure_rows()
    view.write_rows(0, rows_of(70))
    for block in (0, 1):
        view.finish_block(block, {}, {"a": 1})
    marker = view.folder / "blocks" / "000001.json"
    sound = json.loads(marker.read_text())
    assert sound["crc32"] == zlib.crc32(rows_of(70)[64:].tobytes())
    older = {name: value for name, value in sound.items() if name != "own_crc32"}
    for content, damaged in (
        (sound, []),
        (older, []),  # of an older version, without a checksum of the marker itself
        ({**sound, "own_crc32": 1}, [1]),
        ({**older, "index": 0}, [1]),
        ({**older, "crc32": 1}, [1]),
        ({**older, "more": 1}, [1]),
        ({**older, "failures": ["x"]}, [1]),
        ([1], [1]),
    ):
        marker.write_text(json.dumps(content))
        assert view.damaged() == damaged
    marker.write_text(json.dumps(sound))
    (view.folder / "rows.npy").unlink()
    assert view.damaged() == [0, 1]


@pytest.mark.parametrize("damage", ["shape", "dtype", "cut", "text", "absent"])
def test_ensure_rows__a_file_of_another_form_is_made_again(tmp_path, damage):
    view, rows = view_file(tmp_path), tmp_path / "view" / "rows.npy"
    view.ensure_rows()
    view.write_rows(0, rows_of(70))
    view.ensure_rows()
    assert view.rows()[1].tolist() == [3, 4, 5]  # a complete one stays
    if damage in ("shape", "dtype"):
        np.save(rows, np.zeros((71, 3), np.float32) if damage == "shape" else np.zeros((70, 3), np.float16))
    elif damage == "cut":
        rows.write_bytes(rows.read_bytes()[:-1])
    elif damage == "text":
        rows.write_text("no array")
    else:
        rows.unlink()
    left = [temporary_path(folder / "x") for folder in (view.folder, view.folder / "blocks")]
    left = [path.with_name(path.name.replace(f"-{os.getpid()}.", f"-{2**22 - 1}.")) for path in left]  # has ended
    for path in left:
        path.touch()
    view.ensure_rows()
    assert not any(path.exists() for path in left)
    assert (view.rows().shape, view.rows().dtype, view.rows().any()) == ((70, 3), np.float32, False)


def test_view_file__another_process_maps_the_rows_itself(tmp_path):
    view = view_file(tmp_path)
    view.ensure_rows()
    view.write_rows(0, rows_of(70))
    other = pickle.loads(pickle.dumps(view))
    other.write_rows(69, np.full((1, 3), 7.0))
    assert view.rows()[68:].tolist() == [[204, 205, 206], [7, 7, 7]]


def block_bank(folder, blocks, check=lambda block: None, key=None, views=VIEWS):
    return BlockBank(folder, key or key_of(), views, blocks, before_writing=check)


def test_block_bank__files_of_its_blocks_are_merged_into_the_bank(tmp_path):
    folder, checked = StorageFolder.of(tmp_path / "blocks"), []
    bank = block_bank(folder, [1, 0], checked.append)
    assert (bank.missing("plain"), bank.dim, len(bank.blocks)) == ({0, 1}, 3, 2)
    bank.write_rows("plain", 0, rows_of(10))
    bank.write_rows("plain", 10, rows_of(54, start=30))
    bank.finish_block("plain", 0, {"7": "broken"}, {"a": 64})
    bank.write_rows("other", 66, np.ones((2, 3)))
    bank.finish_block("other", 1, {"64": "cut"}, {"b": 6})
    bank.finish_block("other", 0, {}, {})  # no row
    assert checked == [0, 1, 0]
    assert (bank.missing("plain"), bank.missing("other")) == ({1}, set())
    assert [bank.is_finished("plain", block) for block in (0, 1, 2)] == [True, False, True]
    assert bank.failures == {"7": "broken", "64": "cut"}
    assert len(bank.files) == 3
    again = block_bank(folder, [0, 1])
    assert (again.files, again.failures, again.missing("plain")) == (bank.files, bank.failures, {1})
    assert block_bank(folder, [1]).missing("plain") == {1}
    again.write_rows("plain", 64, rows_of(6))
    again.finish_block("plain", 1, {}, {})
    merged, ticks = Bank.open(tmp_path / "banks", key_of(), VIEWS), []
    merged.write_rows("other", 0, np.full((64, 3), 9.0))
    merged.finish_block("other", 0, {}, {})  # what the bank has stays
    merge_blocks(key_of(), VIEWS, merged, folder.read, ticks.append)
    assert (merged.complete, ticks) == (True, [1, 1, 1])
    assert merged.view("plain", [0, 10, 63, 64, 69])[0:5].tolist() == [
        [0, 1, 2], [30, 31, 32], [189, 190, 191], [0, 1, 2], [15, 16, 17],
    ]  # fmt: skip
    assert merged.view("other", [0, 65, 66, 67, 68])[0:5].tolist() == [[9] * 3, [0] * 3, [1] * 3, [1] * 3, [0] * 3]
    assert merged.failures() == {"7": "broken", "64": "cut"}
    assert merged.source_jpeg() == {"a": 64}


def test_block_bank__a_check_that_fails_and_files_that_are_damaged(tmp_path):
    folder = StorageFolder.of(tmp_path)

    def refuse(block):
        raise DataError("other photos")

    with pytest.raises(DataError, match="other photos"):
        block_bank(folder, [0], refuse).finish_block("plain", 0, {}, {})
    assert folder.all_names() == []
    path = f"{view_path(key_of(), VIEWS['plain'])}/000000.npz"
    assert path.startswith(f"2-{key_hash(key_of())}/")
    folder.write(path, b"damaged")
    bank = block_bank(folder, [0])
    assert (bank.missing("plain"), bank.files) == ({0}, {})


def test_read_block__every_lie_is_refused():
    rows = rows_of(5)
    marker = Block(2, {"a": "cut"}, {"b": 5}, zlib.crc32(rows.tobytes()))
    data = block_bytes(marker, rows)
    assert data == block_bytes(marker, rows)
    read, values = read_block(data, "x/2.npz", 2, (5, 3), "float32")
    assert (read, values.tolist()) == (marker, rows.tolist())
    for number, shape, dtype in ((1, (5, 3), "float32"), (2, (6, 3), "float32"), (2, (5, 3), "float16")):
        with pytest.raises(DataError, match=r"x/2\.npz"):
            read_block(data, "x/2.npz", number, shape, dtype)
    lie = block_bytes(dataclasses.replace(marker, crc32=1), rows)
    with pytest.raises(DataError, match=r"x/2\.npz"):
        read_block(lie, "x/2.npz", 2, (5, 3), "float32")
    without = io.BytesIO()
    np.savez(without, rows=rows)
    for broken in (b"", data[:-9], without.getvalue()):
        with pytest.raises(DataError, match=r"x/2\.npz"):
            read_block(broken, "x/2.npz", 2, (5, 3), "float32")


@pytest.mark.parametrize(("count", "storage"), [(70, "float32"), (64, "float16"), (1, "float32")])
def test_blocks_bytes__is_nearly_that_of_the_files(tmp_path, count, storage):
    folder, key = StorageFolder.of(tmp_path), key_of(count, storage=storage)
    blocks = range(len(Blocks(count)))
    bank = block_bank(folder, blocks, key=key)
    for name in VIEWS:
        for block in blocks:
            bank.finish_block(name, block, {}, {})
    written = sum((tmp_path / name).stat().st_size for name in folder.all_names())
    assert 0 <= written - blocks_bytes(key, len(VIEWS)) < 12 * 2 * len(blocks)  # digits of checksums


def test_open__its_last_use_is_recorded_and_looking_is_none(tmp_path):
    bank = filled(tmp_path)
    os.utime(bank.folder, (1, 1))
    Bank.look(tmp_path, key_of(), VIEWS)
    assert bank.folder.stat().st_mtime == 1
    Bank.open(tmp_path, key_of(), VIEWS)
    assert bank.folder.stat().st_mtime > 1e9
