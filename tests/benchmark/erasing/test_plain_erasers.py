"""Erasers written a second time: the adversary's training, closed forms in plain numpy, hashes, files and tables."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.erasing import (
    ERASER_FILES,
    METHODS,
    Eraser,
    FitSet,
    Method,
    Moments,
    Source,
    eraser_record,
    fit_eraser,
    fit_method,
    moments_of,
    save_eraser,
)
from benchmark.erasing import adversary as adversary_module
from benchmark.erasing import eraser as eraser_module
from benchmark.erasing import methods as methods_module
from benchmark.erasing.methods import inlp, leace, random_projection, splince
from builders.errors import DataError, DiskError

D, CLASSES, N = 5, 3, 24
RNG = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def drawn_anew() -> None:
    """Draws do not depend on the tests before."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def source_of(seed: int = 0, views: int = 2, unit_rows: bool = False) -> Source:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, (views, N))
    shift = 2 * rng.normal(size=(CLASSES, D))
    rows = [(rng.normal(size=(N, D)) + shift[labels[v]]).astype(np.float32) for v in range(views)]
    return Source(rows, labels, CLASSES, rng.integers(0, 2, N), 2, unit_rows)


def shrunk(moments: Moments, shrinkage: float) -> tuple[np.ndarray, np.ndarray]:
    covariance = moments.covariance.numpy()
    covariance = (1 - shrinkage) * covariance + shrinkage * np.eye(D) * covariance.trace() / D
    values, vectors = np.linalg.eigh(covariance)
    return vectors / np.sqrt(values) @ vectors.T, vectors * np.sqrt(values) @ vectors.T


@pytest.mark.parametrize("shrinkage", [0.0, 0.2, 1.0])
def test_leace_and_splince__with_shrinkage_in_plain_numpy(shrinkage: float) -> None:
    moments = moments_of(source_of())
    white, back = shrunk(moments, shrinkage)
    trace = np.linalg.svd(white @ moments.cross.numpy())[0][:, : CLASSES - 1]
    expected = np.eye(D) - back @ trace @ trace.T @ white
    made = leace(moments, shrinkage=shrinkage)
    np.testing.assert_allclose(made.projection, expected, atol=1e-8)
    assert made.rank == 2
    task = np.linalg.svd(white @ moments.preserved_cross.numpy())[0][:, :1]
    both = np.hstack([trace, task])
    change = np.hstack([trace, 0 * task]) @ np.linalg.pinv(both)
    made = splince(moments, shrinkage=shrinkage)
    np.testing.assert_allclose(made.projection, np.eye(D) - back @ change @ white, atol=1e-8)
    assert made.rank == 2


@pytest.mark.parametrize("rounds", [0, 1, 2])
@pytest.mark.parametrize("ridge", [1e-3, 0.5])
def test_inlp__in_plain_numpy(rounds: int, ridge: float) -> None:
    moments = moments_of(source_of())
    covariance, cross = moments.covariance.numpy(), moments.cross.numpy()
    rest = np.eye(D)
    for _ in range(rounds):
        matrix = rest @ covariance @ rest + ridge * covariance.trace() / D * np.eye(D)
        weights = rest @ np.linalg.solve(matrix, rest @ cross)
        basis = np.linalg.svd(weights)[0][:, : CLASSES - 1]
        rest = rest - basis @ basis.T
    made = inlp(moments, rounds=rounds, ridge=ridge)
    np.testing.assert_allclose(made.projection, rest, atol=1e-7)
    assert made.rank == rounds * 2


def test_inlp__ends_where_no_classifier_finds_anything() -> None:
    made = inlp(moments_of(source_of()), rounds=50)
    assert made.rank == D
    np.testing.assert_allclose(made.projection, np.zeros((D, D)), atol=1e-6)


def test_random_projection__as_many_drawn_directions_as_leace() -> None:
    moments = moments_of(source_of())
    drawn = torch.randn((D, 2), generator=torch.Generator().manual_seed(7), dtype=torch.float64).numpy()
    basis = np.linalg.qr(drawn)[0]
    np.testing.assert_allclose(random_projection(moments, seed=7).projection, np.eye(D) - basis @ basis.T, atol=1e-12)
    zero = np.random.default_rng(0).normal(size=(D, 2))
    assert zero.shape == drawn.shape
    assert not np.allclose(random_projection(moments).projection, random_projection(moments, seed=7).projection)


def test_splince__a_class_without_rows_to_tell_is_refused() -> None:
    x, z = RNG.normal(size=(30, D)), np.arange(30) % 3
    plain = Moments(D, 3)
    plain.update(x, z)
    with pytest.raises(DataError, match=r"^splince keeps a class readable: give each photo's class$"):
        splince(plain)
    alike = Moments(D, 3, 3)
    alike.update(x, z, z)
    with pytest.raises(DataError) as error:
        splince(alike)
    assert str(error.value) == (
        "every direction that tells the class tells the trace too: splince cannot keep one without it"
    )


def test_methods__their_names_lines_options_and_needs() -> None:
    shrinkages = {"shrinkage": (0.0, 0.001, 0.01, 0.1)}
    made = {m.name: (m.summary, dict(m.search), m.keeps_classes, m.labels_at_test) for m in METHODS.values()}
    assert list(METHODS) == list(made)
    assert made == {
        "identity": ("nothing erased: the control", {}, False, False),
        "random": ("as many random directions out as leace takes: the control of equal rank", {}, False, False),
        "mean": ("directions between class means out", {}, False, False),
        "inlp": (
            "iterative null-space projection with least-squares classifiers: a baseline",
            {"rounds": (10, 1, 3, 30)},
            False,
            False,
        ),
        "leace": ("least-squares concept erasure, closed form", shrinkages, False, False),
        "splince": ("as leace, and the covariance with the photo's class stays", shrinkages, True, False),
        "standardise": (
            "each class of the trace to one mean and deviation; needs the label of what it is applied to",
            {},
            False,
            True,
        ),
        "adversary": ("a linear map trained against a linear classifier", {"rate": (1e-3, 1e-2, 1e-4)}, False, False),
    }
    several = Method("m", "", lambda: None, {"a": (1, 2), "b": (3, 4)})  # type: ignore[arg-type,return-value]
    assert several.candidates() == [{"a": 1, "b": 3}, {"a": 1, "b": 4}, {"a": 2, "b": 3}, {"a": 2, "b": 4}]


@pytest.mark.parametrize("unit_rows", [False, True])
def test_fit_method__erasers_have_the_mean_the_map_and_their_rank(unit_rows: bool) -> None:
    labelled = source_of(unit_rows=unit_rows)
    moments = moments_of(labelled)
    rows = np.concatenate([np.asarray(view, float) for view in labelled.views])
    if unit_rows:
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    ranks = {
        "identity": 0,
        "random": 2,
        "mean": 2,
        "inlp": D,
        "leace": 2,
        "splince": 2,
        "standardise": 0,
        "adversary": 0,
    }
    for name, rank in ranks.items():
        made = fit_method(name, labelled, moments, **({"rounds": 1, "epochs": 1} if name == "adversary" else {}))
        assert (made.method, made.rank, made.unit_rows, made.fit) == (name, rank, unit_rows, None)
        np.testing.assert_allclose(made.mean, rows.mean(0), atol=1e-5)
        assert made.mean.dtype == made.projection.dtype == np.float32
        assert dict(made.provenance).keys() == ({"training"} if name == "adversary" else set())


def test_fit_method__an_error_of_a_method_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def boom(*given: Any, **options: Any) -> Eraser:
        raise TypeError("boom")

    broken = {"mean": dataclasses.replace(METHODS["mean"], fit=boom)}
    monkeypatch.setattr(methods_module, "METHODS", broken)
    labelled = source_of()
    with pytest.raises(TypeError, match=r"^boom$"):
        fit_method("mean", labelled, moments_of(labelled))


def test_fit_eraser__records_classes_rows_and_options_besides_what_the_method_records(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained = adversary_module.Trained(torch.eye(D, dtype=torch.float64), (0.5,), 0)
    monkeypatch.setattr(methods_module, "adversary", lambda *given, **more: trained)
    rows, labels = RNG.normal(size=(N, D)).astype(np.float32), np.array(["b", "a", "c"] * (N // 3))
    common = {"classes": ["a", "b", "c"], "n_rows": N}
    made = fit_eraser(rows, labels, "adversary", rate=0.5)
    training = {"losses": [0.5], "kept_round": 0}
    assert made.provenance == {"training": training, **common, "options": {"rate": 0.5}}
    assert fit_eraser(rows, labels.tolist()).provenance == {**common, "options": {}}
    numbers = fit_eraser(rows, np.arange(N) % 2, "splince", keep=labels, shrinkage=0.1)
    assert numbers.provenance == {"classes": ["0", "1"], "n_rows": N, "options": {"shrinkage": 0.1}}


@pytest.mark.parametrize(("classes", "rank"), [(2, 1), (5, 4), (6, 4), (9, 4)])
@pytest.mark.parametrize("method", ["leace", "mean", "random", "splince"])
def test_methods__one_direction_stays_however_many_classes_there_are(method: str, classes: int, rank: int) -> None:
    rows, labels = RNG.normal(size=(90, D)), np.arange(90) % classes
    labelled = Source([rows], labels[None], classes, np.arange(90) // 45, 2)
    made = fit_method(method, labelled, moments_of(labelled))
    assert made.rank == rank
    assert np.linalg.matrix_rank(made.projection, tol=1e-4) == D - rank


def test_adversary__records_its_losses_and_the_round(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    trained = adversary_module.Trained(2 * torch.eye(D, dtype=torch.float64), (0.12345678, math.inf, 0.1), 2)
    monkeypatch.setattr(methods_module, "adversary", lambda *given, **more: calls.append((given, more)) or trained)
    labelled = source_of()
    moments = moments_of(labelled)
    made = fit_method("adversary", labelled, moments, rate=0.5)
    assert calls == [((labelled, moments), {"rate": 0.5})]
    assert made.provenance == {"training": {"losses": [0.123457, 0.1], "kept_round": 2}}
    np.testing.assert_array_equal(made.projection, 2 * np.eye(D, dtype=np.float32))


def test_standardise__a_dimension_without_spread_is_not_divided_by_nothing() -> None:
    """Dimension 0 varies in no class, dimension 1 in one class only, dimension 2 nowhere."""
    rows = np.array([[1, 5, 7], [1, 6, 7], [3, 4, 7], [3, 4, 7.0]], np.float32)
    labels = np.array([0, 0, 1, 1])
    made = fit_eraser(rows, labels, "standardise")
    assert made.group_scales is not None
    of_all = rows.std(0)
    np.testing.assert_allclose(made.group_scales, [[of_all[0], 0.5, 1], [of_all[0], of_all[1], 1]], atol=1e-6)
    np.testing.assert_allclose(made.group_means, [[1, 5.5, 7], [3, 4, 7]])
    np.testing.assert_allclose(made.projection, np.diag(of_all), atol=1e-6)
    assert np.isfinite(made.apply(rows, labels)).all()


def test_source__batches_of_about_so_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    labelled = source_of(views=2)
    assert [len(batch.rows) for batch in labelled.batches(rows=20)] == [20, 20, 8]
    assert [len(batch.rows) for batch in labelled.batches(rows=1)] == [2] * N
    assert [len(batch.rows) for batch in labelled.batches()] == [2 * N]
    monkeypatch.setattr("benchmark.erasing.moments.BATCH_BYTES", 4 * D * 10)
    assert [len(batch.rows) for batch in labelled.batches()] == [10, 10, 10, 10, 8]
    batch = next(labelled.batches(rows=6))
    np.testing.assert_array_equal(batch.rows, np.concatenate([view[:3] for view in labelled.views]))
    np.testing.assert_array_equal(batch.labels, labelled.labels[:, :3].ravel())
    np.testing.assert_array_equal(batch.preserved, np.tile(labelled.preserved[:3], 2))  # type: ignore[index]
    drawn = next(labelled.batches(5, 6))
    photos = np.sort(np.random.default_rng(5).permutation(N)[:3])
    np.testing.assert_array_equal(drawn.rows, np.concatenate([view[photos] for view in labelled.views]))
    np.testing.assert_array_equal(drawn.preserved, np.tile(labelled.preserved[photos], 2))  # type: ignore[index]
    unit = next(source_of(unit_rows=True).batches(rows=6)).rows
    np.testing.assert_allclose(unit, batch.rows / np.linalg.norm(batch.rows, axis=1, keepdims=True), rtol=1e-6)


@pytest.mark.parametrize("given", [False, True])
def test_eraser__its_hash_record_and_files(given: bool, tmp_path: Any) -> None:
    mean, turn = np.arange(3, dtype=np.float32), np.eye(3, dtype=np.float32)[::-1]
    groups = (
        {"group_means": np.ones((2, 3), np.float32), "group_scales": np.full((2, 3), 2, np.float32)} if given else {}
    )
    made = Eraser("leace", mean, turn, 2, True, provenance={"attribute": "jpeg", "n_rows": 9}, **groups)
    digest = hashlib.sha256(b"camtrace eraser 1 True")
    for array in (mean, turn, *groups.values()):
        digest.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    assert made.sha256 == digest.hexdigest()
    name = f"leace-jpeg@{made.sha256[:8]}" + (" (given test labels)" if given else "")
    record = {
        "schema_version": 1,
        "method": "leace",
        "name": name,
        "sha256": made.sha256,
        "rank": 2,
        "dimension": 3,
        "dtype": "float32",
        "unit_rows": True,
        "labels_at_test_time": given,
        "attribute": "jpeg",
        "n_rows": 9,
    }
    assert eraser_record(made) == record
    fit = FitSet(np.array([5, 3], np.uint64), np.array([0, 9], np.uint64))
    folder = tmp_path / "new" / "eraser"
    save_eraser(folder, made, fit, about={"rank": 7, "more": "é"}, card="# card\n")
    assert sorted(path.name for path in folder.iterdir()) == sorted(ERASER_FILES)
    text = (folder / "eraser.json").read_text("utf-8")
    hashes = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("eraser.safetensors", "fit_photos.safetensors")
    }
    assert json.loads(text) == {**record, "files_sha256": hashes, "rank": 7, "more": "é"}
    assert text.startswith('{\n  "schema_version": 1,')
    assert text.endswith("}\n")
    assert "é" in text
    assert (folder / "README.md").read_text() == "# card\n"
    assert ERASER_FILES == ("eraser.safetensors", "fit_photos.safetensors", "README.md", "eraser.json")


def test_save_eraser__the_folder_is_incomplete_until_all_is_written(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Eraser("leace", np.zeros(2, np.float32), np.eye(2, dtype=np.float32), 1)
    save_eraser(tmp_path, made, None, about={}, card="")
    written: list[tuple[str, bool]] = []

    def full(path: Any, *given: Any, **more: Any) -> None:
        written.append((path.name, (tmp_path / "eraser.json").exists()))
        if path.name == "README.md":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(eraser_module, "write_bytes_atomically", full)
    monkeypatch.setattr(eraser_module, "write_text_atomically", full)
    with pytest.raises(DiskError, match="the disk is full"):
        save_eraser(tmp_path, made, None, about={}, card="")
    assert written == [("eraser.safetensors", False), ("README.md", False)]


def test_fit_set__ids_with_their_data_set_and_the_digest_of_sorted_ones() -> None:
    ids = FitSet.id_hashes("folder:a", ["1.jpg", "ü\udce9"])
    expected = [
        int.from_bytes(hashlib.sha256(f"folder:a\0{name}".encode("utf-8", "surrogateescape")).digest()[:8], "big")
        for name in ("1.jpg", "ü\udce9")
    ]
    assert ids.tolist() == expected
    assert ids.dtype == np.uint64
    data = b"".join(number.to_bytes(8, "little") for number in sorted(expected))
    assert FitSet(ids, ids).digest() == hashlib.sha256(data).hexdigest()[:16]


@pytest.mark.parametrize("block", [1, 3, 100])
def test_apply__in_blocks_each_row_with_its_group(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eraser_module, "BLOCK_ROWS", block)
    means, scales = RNG.normal(size=(2, 3, 4)).astype(np.float32)
    mean, turn = RNG.normal(size=4).astype(np.float32), RNG.normal(size=(4, 4)).astype(np.float32)
    rows, groups = RNG.normal(size=(8, 4)).astype(np.float32), np.array([0, 1, 2, 2, 1, 0, 2, 1])
    made = Eraser("standardise", mean, turn, 0, False, means, scales)
    expected = [mean + turn @ ((row - means[g]) / scales[g]) for row, g in zip(rows, groups, strict=True)]
    np.testing.assert_allclose(made.apply(rows, groups), expected, rtol=1e-4)
    plain = Eraser("leace", mean, turn, 0)
    np.testing.assert_allclose(plain.apply(rows), [mean + turn @ (row - mean) for row in rows], rtol=1e-4)
    assert (plain.dimension, plain.needs_labels, made.needs_labels) == (4, False, True)
