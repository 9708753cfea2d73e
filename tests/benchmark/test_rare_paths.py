"""Paths that a run takes seldom, each by a direct call: empty banks, files that vanish, answers of another form."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.audit import accuracy
from benchmark.audit.features import _number
from benchmark.audit.questions import _values
from benchmark.bank import Bank, gates
from benchmark.bank.fill import answers
from benchmark.bank.photo_hashes import SAVED_EVERY_S, PhotoHashes
from benchmark.compute import memory
from benchmark.encoders.loaders.transformers.prompts import MARK, _conversation
from benchmark.encoders.preprocess.by_library import _by_pillow
from benchmark.encoders.runtime import onnxruntime
from benchmark.encoders.runtime.speed import choice_file
from benchmark.erasing.card import _learnt
from benchmark.erasing.folder import _eraser
from benchmark.probe.problem import _no_options
from benchmark.probe.solver.projected import all_rows
from benchmark.publishing.repository import hub_api
from benchmark.results.proof import _difference
from benchmark.retrieval.counts import _above_many
from benchmark.scoring.cache import _files
from benchmark.scoring.estimating.pass_costs import _missing
from benchmark.views.device import views as device_views
from tests.benchmark.encoders.test_openvino_decisions import INFO


def test_cross_validated__a_fold_of_one_class_predicts_nothing(monkeypatch):
    """Owners of one class each: where all photos of a class are held back, no model is fitted."""
    x = np.arange(8.0)[:, None]
    y = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    owners = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    assert accuracy._cross_validated(x, y, owners, 0).tolist() == [-1] * 8
    owners = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    assert accuracy._cross_validated(x - 3.5, y, owners, 0).tolist() == y.tolist()


def test_number__a_feature_that_is_compared_by_size():
    feature = _number("title", "header", float)
    assert (feature.title, feature.layer, feature.of, feature.kind) == ("title", "header", float, "number")


def test_values__no_question_where_nothing_was_counted():
    assert _values(SimpleNamespace(tables={}), "label", "iso", "ISO", "header", ["a", "b"], 0) == []


@pytest.mark.parametrize(("since", "saves"), [(SAVED_EVERY_S - 1, 0), (SAVED_EVERY_S + 1, 1)])
def test_learn__saves_from_time_to_time(monkeypatch, since, saves):
    saved = []
    monkeypatch.setattr(PhotoHashes, "save", lambda self: saved.append(self))
    hashes = PhotoHashes.__new__(PhotoHashes)
    hashes._known, hashes._lasting = np.zeros(2, bool), np.zeros(2, bool)
    hashes._digests, hashes.read_now = np.zeros((2, 3), np.uint8), 0
    monkeypatch.setattr("benchmark.bank.photo_hashes.time.monotonic", lambda: 1000.0 + since)
    hashes._saved_at = 1000.0
    hashes.learn(1, b"")
    assert (hashes.read_now, saved) == (0, [])
    hashes.learn(1, b"abc")
    hashes.learn(1, b"xyz")  # known
    assert (hashes.read_now, len(saved), hashes._unsaved) == (1, saves, True)
    assert hashes._digests.tolist() == [[0, 0, 0], list(b"abc")]
    assert (hashes._known.tolist(), hashes._lasting.tolist()) == ([False, True], [False, True])


def test_waited_for__computes_at_once_and_share_of_a_machine_is_at_least_whole(monkeypatch):
    rows, calls = torch.ones(2), []
    started = memory._waited_for(lambda: calls.append(1) or rows)
    assert calls == [1]
    assert started() is rows
    assert calls == [1]
    for processes, sharing in ((3, 3), (0, 1)):
        monkeypatch.setattr(memory, "_sharing", 9)
        memory.share_machine(processes)
        assert memory._sharing == sharing


@pytest.mark.parametrize("form", ["parts", "text", "none", "unmarked"])
def test_conversation__answers_as_parts_or_as_a_text(form):
    calls = []

    def apply(messages, **given):
        calls.append((messages, given))
        answer = messages[-1]["content"]
        if form == "none" or (form == "text" and not isinstance(answer, str)):
            raise TypeError("a template takes texts alone")
        return "nothing" if form == "unmarked" else f"<{MARK}>"

    processor = SimpleNamespace(apply_chat_template=apply)
    made = _conversation(processor, "What?", "Yes.")
    assert made == ("" if form in ("none", "unmarked") else f"<{MARK}>")
    question = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]}
    forms = [[{"type": "text", "text": "Yes."}], "Yes."][: 1 if form == "parts" else 2]
    assert calls == [([question, {"role": "assistant", "content": each}], {}) for each in forms]


def test_by_pillow__with_antialias_is_pillow_s():
    pixels = np.random.default_rng(0).integers(0, 256, (13, 9, 3), dtype=np.uint8)
    for name in ("bilinear", "bicubic", "lanczos", "box"):
        expected = Image.fromarray(pixels).resize((5, 7), Image.Resampling[name.upper()])
        assert np.array_equal(_by_pillow(pixels, (5, 7), name, True), np.asarray(expected))


def test_eraser__of_other_arrays(monkeypatch):
    arrays = {"mean": np.zeros(2, np.float32), "more": np.zeros(2, np.float32)}
    for more, text in (({}, "mean, more"), ({"projection": np.eye(2, dtype=np.float32)}, "mean, more, projection")):
        monkeypatch.setattr("benchmark.erasing.folder._read", lambda data, more=more: arrays | more)
        with pytest.raises(ValueError, match=rf"^it holds {text}$"):
            _eraser(b"", {"dimension": 2})


def test_probe__no_options_and_no_rows():
    assert _no_options({"l2": 1.0}) == {}
    empty = all_rows(np.zeros((0, 7), np.float32))
    assert (tuple(empty.shape), empty.dtype) == ((0, 7), torch.float64)


def test_hub_api__names_camtrace():
    assert hub_api().library_name == "camtrace"


def test_difference__a_mapping_that_is_none():
    assert _difference("details", 5, {"value": 1.0}, 1.0, True) == ("details", 5, {"value": 1.0})
    assert _difference("details", 5, None, 1.0, True) is None


def test_above_many__as_on_another_device(monkeypatch):
    """Sorted by torch, as on a GPU, the counts are those of NumPy's sort."""
    rng = np.random.default_rng(0)
    similar = torch.from_numpy(rng.integers(0, 6, (5, 40)).astype(np.float32))
    thresholds = rng.integers(0, 6, (3, 5)).astype(np.float32)
    thresholds[1, 2] = np.nan
    by_numpy = _above_many(similar, thresholds)

    class Elsewhere:
        device = SimpleNamespace(type="elsewhere")

        def contiguous(self):
            return similar

    by_torch = _above_many(Elsewhere(), thresholds)
    for first, second in zip(by_numpy, by_torch, strict=True):
        assert np.array_equal(first, second)


def test_files__one_that_another_process_removes_is_passed_over(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    real = Path.lstat

    def vanishing(self):
        if self.name == "a":
            raise FileNotFoundError(self)
        return real(self)

    monkeypatch.setattr(Path, "lstat", vanishing)
    assert [(path.name, status.st_size) for path, status in _files(tmp_path)] == [("b", 1)]


def test_missing__no_views_lack_nothing_and_without_a_bank_all_do():
    assert _missing([], None, 7) == {}
    assert _missing(["b", "a"], None, 7) == {("b", "a"): 7}


def test_device_views__what_no_device_makes_and_sizes_without_a_plan(monkeypatch):
    monkeypatch.setattr(device_views, "makes", lambda processing: processing.subsampling != "4:2:0")
    photos = torch.zeros((1, 8, 8, 3), dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"^no device makes jpeg-q75-420$"):
        device_views.torch_views(photos, ["a"], ["original", "jpeg-q75-444", "jpeg-q75-420"], [])
    assert not device_views.possible(8, 8, "a", ["original", "jpeg-q75-444", "jpeg-q75-420"], [])
    with pytest.raises(ValueError, match=r"^no plan for pictures of 8 x 9$"):
        device_views._planned(lambda width, height: None, (8, 9))


def test_learnt__an_eraser_that_does_not_say_has_readers_on_the_photos_of_its_fit():
    texts = [_learnt({"unseen": unseen}) for unseen in ({}, {"readers_learn_apart": False})]
    assert texts == ["the fit's own photos, so that they find less than is there"] * 2
    assert _learnt({"unseen": {"readers_learn_apart": True}}) == "other photos than the fit's"


def test_exported__the_record_is_of_the_views_that_it_was_traced_with(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(torch.onnx, "export", lambda network, given, file, **more: calls.append((given, more)))
    monkeypatch.setattr(onnxruntime, "_try_elsewhere", lambda *given: calls.append(given))
    monkeypatch.setattr(onnxruntime, "OnnxNetwork", lambda data: data)
    batch = torch.arange(24.0).reshape(2, 3, 4)
    embed = SimpleNamespace(name="mine", eval=lambda: None)
    monkeypatch.setattr(onnxruntime, "WholeNetwork", lambda embed: SimpleNamespace(eval=lambda: embed))
    assert onnxruntime.exported_network(INFO, embed, batch, tmp_path) == b""
    (given, more), (name, data, views, file) = calls
    assert given == (batch,)
    assert more["dynamic_axes"] == {"views": {0: "n"}, "embeddings": {0: "n"}}
    assert (more["input_names"], more["output_names"], more["dynamo"]) == (["views"], ["embeddings"], False)
    assert (name, data, views.tolist()) == ("mine", b"", batch.tolist())
    assert file == choice_file(tmp_path, "onnxruntime", INFO, batch)
    assert file != choice_file(tmp_path, "onnxruntime", INFO, batch.flatten(1))


def test_save__rows_of_other_photos_stay_and_those_of_these_only_where_they_have_settled(tmp_path, monkeypatch):
    table = {1: 10, 2: 20, 3: 30}
    hashes = PhotoHashes.__new__(PhotoHashes)
    hashes._file, hashes._stamps, hashes._unsaved, hashes._store = tmp_path / "t.npz", object(), True, True
    hashes.photos = SimpleNamespace(name="folder:x")
    hashes._keys = np.array([[2, 0], [4, 0], [3, 0]], "<u8")
    hashes._digests = np.array([[21] * 16, [40] * 16, [31] * 16], np.uint8)
    hashes._lasting = np.array([True, True, False])
    older = np.array([[key, 0] for key in table], "<u8"), np.array([[value] * 16 for value in table.values()], np.uint8)
    monkeypatch.setattr(PhotoHashes, "_settled", lambda self: np.array([True, False, True]))
    monkeypatch.setattr("benchmark.bank.photo_hashes._read_table", lambda path: older)
    hashes.save()
    stored = np.load(tmp_path / "t.npz")
    assert dict(zip(stored["keys"][:, 0].tolist(), stored["digests"][:, 0].tolist(), strict=True)) == {1: 10, 2: 21}
    assert (str(stored["name"]), hashes._unsaved) == ("folder:x", False)


@pytest.mark.parametrize(("of_questions", "size"), [(None, 64), (3, 3)])
def test_fill_answers__a_number_of_pictures_that_is_part_of_the_question_comes_first(monkeypatch, of_questions, size):
    class Done(Exception):
        pass

    def fitting(answerer, batch):
        assert batch == size
        raise Done

    monkeypatch.setattr(answers, "missing_parts", lambda names, stores, blocks: [])
    monkeypatch.setattr(answers, "_Fitting", fitting)
    given = SimpleNamespace(names=()), None, SimpleNamespace(batch=of_questions), None
    with pytest.raises(Done):
        answers.fill_answers(None, *given, batch_size=64, workers=0)


def test_failures__the_reason_of_the_first_block_counts_whichever_view_has_it():
    def view(**blocks):
        made = [SimpleNamespace(index=int(name[1:]), failures=reasons) for name, reasons in blocks.items()]
        return SimpleNamespace(markers=lambda: made)

    bank = SimpleNamespace(
        _views={
            "v": view(b2={"x": "late", "y": "of v"}, b0={"z": "first"}),
            "w": view(b1={"x": "early"}, b3={"y": "of w", "z": "last"}),
        }
    )
    assert list(Bank.failures(bank).items()) == [("z", "first"), ("x", "early"), ("y", "of v")]


@pytest.mark.parametrize(
    ("photos", "near", "passed", "ratio", "counts"),
    [
        (1, True, False, 0.0, [1]),
        (5, True, True, 10.0, [1]),
        (5, True, True, 9.99, [1, 7]),
        (5, True, False, 10.0, [1, 7]),
        (5, True, True, None, [1, 7]),
        (5, False, True, 99.0, [7]),
        (1, False, True, 99.0, [7]),
    ],
)
def test_compare_runtimes__one_photo_decides_alone_or_by_far(monkeypatch, photos, near, passed, ratio, counts):
    calls = []
    verdict = SimpleNamespace(passed=passed, ratio=ratio)
    monkeypatch.setattr(gates, "neighbouring", lambda names: near)
    monkeypatch.setattr(gates, "all_views", lambda photos, options: SimpleNamespace(names=()))
    monkeypatch.setattr(gates, "_compare_sample", lambda *given: calls.append(given[3]) or verdict)
    monkeypatch.setattr(gates, "RUNTIME_SAMPLE", 7)
    monkeypatch.setattr(gates, "THRESHOLD", 2.0)
    monkeypatch.setattr(gates, "BY_FAR", 5.0)
    assert gates._compare_runtimes(None, None, range(photos), None) is verdict
    assert calls == counts
