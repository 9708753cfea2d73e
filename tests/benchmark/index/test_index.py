"""Audits of planted indexes: what is found, how large, what is not claimed, and what a repair takes away and costs."""

import json

import numpy as np
import pytest

from benchmark.__main__ import camtrace
from benchmark.index import audit_index
from builders.errors import DataError, UsageError
from tests.support.planted_index import plain_excess, vectors_of, write_photos, write_rows

N = 360
LABELS = np.arange(N) % 6


def audited(folder, vectors, saved, labels=LABELS, options="label=label&", **named):
    columns = {"path": range(len(vectors)), "label": labels, "saved": saved, **named.pop("columns", {})}
    place = write_rows(folder, vectors, **columns)
    return audit_index(f"{place}?{options}group=saved", **named)


def one(result):
    ((measured, judged),) = result.groups
    return measured.neighbours, judged


def thirds(seed, n=N):
    return (np.random.default_rng(seed).random(n) < 1 / 3).astype(int)


@pytest.mark.slow
def test_planted__the_share_is_that_of_a_plain_loop_and_its_size_is_right(tmp_path):
    """A third of the photos saved otherwise by one source; 8 of 10 intervals or more hold the mean of all draws."""
    found = [
        one(audited(tmp_path / str(seed), vectors_of(LABELS, thirds(seed), 0.4, seed=seed), thirds(seed)))
        for seed in range(10)
    ]
    assert {judged.answer for _, judged in found} == {"yes"}
    mean = np.mean([share.value for share, _ in found])
    assert sum(share.low <= mean <= share.high for share, _ in found) >= 8
    plain = plain_excess(vectors_of(LABELS, thirds(0), 0.4), LABELS, thirds(0), np.arange(N), range(N), 10)
    assert found[0][0].value == pytest.approx(plain, abs=1e-9)


def test_clusters__are_never_neighbours_and_widen_the_interval(tmp_path):
    owners = np.arange(N) // 6
    labels, groups = LABELS[owners * 7 % N], thirds(1)[owners]
    own = np.random.default_rng(2).normal(size=(N // 6, 16))[owners]
    vectors = vectors_of(labels, groups, 0.4, seed=1) + own.astype(np.float32)
    named = {"columns": {"owner": owners}}
    clustered, _ = one(audited(tmp_path / "a", vectors, groups, labels, "label=label&cluster=owner&", **named))
    single, _ = one(audited(tmp_path / "b", vectors, groups, labels))
    assert clustered.value == pytest.approx(plain_excess(vectors, labels, groups, owners, range(N), 10), abs=1e-9)
    assert clustered.value < single.value
    assert clustered.high - clustered.low > 1.5 * (single.high - single.low)
    assert clustered.units < N / 5


def test_null__vectors_that_know_nothing_of_the_files_make_no_claim(tmp_path):
    for seed in range(6):
        vectors = vectors_of(LABELS, LABELS * 0, 0.0, seed=seed)
        assert audited(tmp_path / str(seed), vectors, thirds(50 + seed)).found == ()


def test_content__what_goes_with_the_label_is_not_called_a_codec(tmp_path):
    """Whether the label tells the group wholly or in nine of ten photos, nothing is claimed."""
    vectors = vectors_of(LABELS, LABELS * 0, 0.0)
    share, judged = one(audited(tmp_path / "whole", vectors, LABELS % 2))
    assert (judged.answer, share.deciding) == ("undecided", 0.0)
    assert "label" in judged.reason
    mostly = np.where(np.random.default_rng(0).random(N) < 0.1, 1 - LABELS % 2, LABELS % 2)
    without, _ = one(audited(tmp_path / "without", vectors, mostly, options=""))
    share, judged = one(audited(tmp_path / "with", vectors, mostly))
    assert without.low > 0.2
    assert abs(share.value) < 0.03
    assert judged.answer != "yes"


def test_content__without_a_label_nothing_is_claimed_and_a_second_embedding_stands_for_it(tmp_path):
    groups = thirds(4)
    planted, content = vectors_of(LABELS, groups, 0.6), vectors_of(LABELS, groups, 0.0, seed=9)
    second = write_rows(tmp_path / "second", content[::-1], path=np.arange(N)[::-1])
    alone = audited(tmp_path / "alone", planted, groups, options="")
    assert alone.control == "none"
    assert alone.found == ()
    assert one(alone)[1].reason
    matched = audited(tmp_path / "matched", planted, groups, options="", second=str(second))
    assert (matched.control, matched.found) == ("matched", ("saved",))
    labelled, _ = one(audited(tmp_path / "labelled", planted, groups))
    assert one(matched)[0].value == pytest.approx(labelled.value, abs=0.03)
    again = audited(tmp_path / "same", planted, groups, options="", second=str(tmp_path / "same" / "index.npy"))
    assert (one(again)[0].value, again.found) == (pytest.approx(0), ())
    few = write_rows(tmp_path / "few", content[:9], path=range(9))
    with pytest.raises(DataError, match=r"index\.npy"):
        audited(tmp_path / "few2", planted, groups, second=str(few))


def test_order__rows_in_another_order_give_the_same_numbers(tmp_path):
    vectors, groups, order = vectors_of(LABELS, thirds(7), 0.3), thirds(7), np.random.default_rng(1).permutation(N)
    first = audited(tmp_path / "a", vectors, groups, queries=100)
    place = write_rows(tmp_path / "b", vectors[order], path=order, label=LABELS[order], saved=groups[order])
    second = audit_index(f"{place}?label=label&group=saved", queries=100)
    assert one(first)[0].value == pytest.approx(one(second)[0].value, abs=1e-9)
    assert one(first)[0].high == pytest.approx(one(second)[0].high, abs=1e-9)
    asked = [sorted(result.index.photos.ids[i] for i in result.asked) for result in (first, second)]
    assert asked[0] == asked[1]


@pytest.mark.slow
def test_repair__readers_at_chance_and_the_right_class_is_found_as_before(tmp_path):
    n = 3000
    labels, groups = np.arange(n) % 6, thirds(3, n)
    vectors = vectors_of(labels, groups, 0.6, dimension=8, spread=3.0)
    twice = np.where(groups, "a", "b")
    place = write_rows(tmp_path, vectors, path=range(n), label=labels, saved=groups, twice=twice)
    result = audit_index(f"{place}?label=label&group=saved&group=twice", repair=True, queries=1200)
    repair = result.repair
    assert repair.dimensions == 8
    assert result.found == ("saved", "twice")
    assert repair.eraser.rank == 1
    before, after = (
        {(score.group, score.reader): score for score in repair.readers if score.when == when}
        for when in ("before", "after")
    )
    assert before["saved", "linear"].low > 0.6
    assert after["saved", "linear"].low <= 0.5 + 0.02
    assert abs(after["saved", "linear"].value - 0.5) < 0.04
    was, still = repair.measured["saved"]
    assert was.neighbours.low > 0.02
    assert still.neighbours.value < was.neighbours.value / 4
    assert abs(repair.retrieval["loss"]) < 0.01
    assert set(repair.queries) <= set(result.asked)


@pytest.mark.slow
def test_repair__fewer_photos_than_dimensions(tmp_path):
    """Content has 5 of 300 dimensions; a map of all of them leaves a linear reader two thirds."""
    n = 1200
    labels, groups = np.arange(n) % 6, thirds(3, n)
    rng = np.random.default_rng(0)
    content = vectors_of(labels, groups, 0.0, dimension=8, spread=3.0) @ rng.normal(size=(8, 300)) / 8
    vectors = content + groups[:, None] * rng.normal(size=300) * 0.3 + rng.normal(size=(n, 300)) * 0.3
    place = write_rows(tmp_path, vectors.astype(np.float32), path=range(n), label=labels, saved=groups)
    for options, dimensions, most in (("?label=label&group=saved", range(2, 64), 0.57), ("?group=saved", (300,), 0.8)):
        repair = audit_index(f"{place}{options}", groups=["saved"]).repair
        before, after = (score.value for score in repair.readers if score.reader == "linear")
        assert repair.dimensions in dimensions
        assert before > 0.95
        assert most - 0.2 < after < most
    assert "300" in repair.texts[0]


def test_repair__of_nothing_and_of_a_group_that_is_named(tmp_path):
    vectors, groups = vectors_of(LABELS, LABELS * 0, 0.0), thirds(5)
    assert audited(tmp_path / "a", vectors, groups, repair=True).repair is None
    assert audited(tmp_path / "b", vectors, groups, groups=["saved"]).repair.groups == ("saved",)
    with pytest.raises(UsageError, match="quality"):
        audited(tmp_path / "c", vectors, groups, groups=["quality"])
    with pytest.raises(UsageError, match="standardise"):
        audited(tmp_path / "d", vectors, groups, groups=["saved"], method="standardise")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Photos whose source saved a third at q75, and vectors that know it."""
    root = tmp_path_factory.mktemp("photos")
    names = [f"class{label}/{i}.jpg" for i, label in enumerate(LABELS)]
    write_photos(root / "photos", names, [("JPEG", 75 if third else 92) for third in thirds(0)])
    (root / "photos" / names[0]).write_bytes(b"not a picture")
    write_rows(root, vectors_of(LABELS, thirds(0), 0.6), path=names)
    return root


def test_command__headers_are_read_and_the_page_shows_the_worst_queries(photos, tmp_path, capsys):
    words = ["audit", "index", str(photos / "index.npy"), "--images", str(photos / "photos"), "--label", "folder"]
    assert camtrace([*words, "-o", str(tmp_path), "--repair", str(tmp_path / "map"), "--json", "-q"]) == 0
    record = json.loads(capsys.readouterr().out)
    answers = {group["group"]: group["answer"] for group in record["groups"]}
    assert answers == {"jpeg_quality": "yes"}
    assert record["groups"][0]["unknown"] == 1
    assert {"format", "software", "megapixels"} <= set(record["left_out"])
    assert json.loads((tmp_path / "index.json").read_text()) == record
    page = (tmp_path / "index.html").read_text()
    assert page.count('<div class="query">') == 10
    assert page.count("<img") > 150
    assert "http" not in page.replace("http-equiv", "")
    assert {path.name for path in (tmp_path / "map").iterdir()} >= {"map.npz", "map.sql", "apply_map.py", "map.faiss"}
    assert camtrace([*words, "-o", str(tmp_path), "-q", "--exit-code"]) == 1


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["{0}/index.npy"], "--images"),
        (["{0}/index.npy?group=saved"], "saved"),
        (["{0}/index.npy?group=header:format"], "header:"),
        (["{0}/index.npy?group=header:colour", "--images", "{0}/photos"], "colour"),
        (["{0}/nothing.npy", "--images", "{0}/photos"], "nothing.npy"),
        (["{0}/index.npy?table={0}/absent.csv", "--images", "{0}/photos"], "absent.csv"),
        (["{0}/index.npy?image=picture", "--images", "{0}/photos"], "picture"),
        (["{0}/index.npy?vektor=x", "--images", "{0}/photos"], "vektor"),
        (["{0}/index.npy", "--images", "{0}/photos", "--group", "format"], "--repair"),
        (["pgvector:postgresql://me:secret@localhost/db", "--images", "{0}/photos"], "table"),
        (["qdrant:localhost:6333", "--images", "{0}/photos"], "COLLECTION"),
    ],
)
def test_command__a_wrong_request_is_one_sentence_that_names_it(photos, tmp_path, capsys, words, named):
    given = [word.format(photos) for word in words]
    assert camtrace(["audit", "index", *given, "-o", str(tmp_path)]) == 2
    printed = capsys.readouterr().err
    assert named in printed
    assert "secret" not in printed
    assert "Traceback" not in printed


def test_command__vectors_that_are_no_vectors(photos, tmp_path, capsys):
    for i, array in enumerate((np.zeros(3), np.full((N, 4), np.nan, np.float32), np.zeros((3, 4), np.float32))):
        np.save(tmp_path / f"{i}.npy", array)
        place = f"{tmp_path / f'{i}.npy'}?table={photos / 'index.csv'}"
        words = ["audit", "index", place, "--images", str(photos / "photos"), "-o", str(tmp_path)]
        assert camtrace(words) == 2
        assert "Traceback" not in capsys.readouterr().err
