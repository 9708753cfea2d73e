"""Every question of an audit by plain loops over its photos: measures of all, p-values over one photo of each owner."""

import numpy as np
import pytest

from benchmark.audit import questions as module
from benchmark.audit.features import FEATURES
from benchmark.audit.questions import questions_of
from benchmark.audit.result import TARGETS
from benchmark.audit.tally import tally
from builders.splits import cramers_v
from tests.benchmark.audit.test_pixel_questions import plain_eta, table_of
from tests.benchmark.audit.test_tally_by_hand import NUMBERS, blocks, frame


@pytest.fixture
def recorded(monkeypatch):
    """What p-values, carriers and extremes are computed of."""
    calls = {"table": [], "ratio": [], "carriers": [], "extremes": []}
    monkeypatch.setattr(module, "table_p_value", lambda table, seed: calls["table"].append((table, seed)) or 0.25)
    monkeypatch.setattr(
        module, "ratio_p_value", lambda numbers, codes, seed: calls["ratio"].append((numbers, codes, seed)) or 0.5
    )

    def carriers(values, counts, groups, examples):
        calls["carriers"].append((values, counts, groups, {(v, g): examples(v, g) for v in values for g in groups}))
        return ()

    monkeypatch.setattr(module, "_carriers", carriers)
    monkeypatch.setattr(
        module,
        "_extremes",
        lambda name, groups, counts, sums: calls["extremes"].append((name, groups, counts, sums)) or (),
    )
    return calls


def rows_of(owners):
    owner = [f"o{i % 11}" if owners and i % 4 else "" for i in range(60)]
    rows = frame(60, owner=owner)
    rows.loc[rows.index % 9 == 1, "bytes"] = np.nan
    rows["aspect"] = 1.5
    return rows


def firsts(rows):
    """Positions of the first photo of each owner, and of every photo without one."""
    owner = list(rows["owner"])
    return [i for i in range(len(rows)) if not owner[i] or owner.index(owner[i]) == i]


@pytest.mark.parametrize("owners", [False, True])
@pytest.mark.parametrize("size", [13, 60])
def test_questions_of__every_feature_and_target(recorded, owners, size):
    rows = rows_of(owners)
    counts = tally(blocks(rows, size))
    good = rows[rows.failure == ""].reset_index(drop=True)
    questions = iter(questions_of(counts, 5))
    for target in TARGETS:
        groups = list(dict.fromkeys(group for group in good[target] if group))
        for name in (*FEATURES, *(["source"] if target != "source" else [])):
            if name in NUMBERS:
                known = good[(good[target] != "") & np.isfinite(good[name])]
                sample = good.loc[firsts(good)]
                sample = sample[(sample[target] != "") & np.isfinite(sample[name])]
                if np.ptp(sample[name]) == 0:
                    continue
                question = next(questions)
                of_groups = [known.loc[known[target] == group, name].to_numpy() for group in groups]
                assert (question.measure, question.distinct, question.p_value) == ("eta", 0, 0.5)
                assert question.raw == pytest.approx(plain_eta(of_groups, False))
                assert question.value == pytest.approx(plain_eta(of_groups, True), abs=1e-9)
                numbers, codes, seed = recorded["ratio"].pop(0)
                assert (numbers.tolist(), codes.tolist(), seed) == (
                    sample[name].tolist(), [groups.index(group) for group in sample[target]], 5,
                )  # fmt: skip
                of_name, of_classes, sizes, sums = recorded["extremes"].pop(0)
                assert (of_name, of_classes, sizes.tolist()) == (name, groups, list(map(len, of_groups)))
                assert sums.tolist() == pytest.approx([float(group.sum()) for group in of_groups])
            else:
                known = good[(good[target] != "") & (good[name] != "")]
                if known[name].nunique() < 2:
                    continue
                sample = good[good[name] != ""].reset_index(drop=True)
                sample = sample.loc[firsts(sample)] if owners else sample
                sample = sample[sample[target] != ""]
                question = next(questions)
                values, table, of_groups, examples = recorded["carriers"].pop(0)
                assert (sorted(values), of_groups) == (sorted(set(known[name])), groups)
                full = table_of(list(zip(known[target], known[name], strict=True)), values, groups)
                assert table.tolist() == full
                for (value, group), ids in examples.items():
                    alike = good[(good[target] == group) & (good[name] == value)]
                    assert ids == alike["id"].tolist()[:3]
                assert (question.measure, question.distinct, question.p_value) == ("V", len(values), 0.25)
                assert question.value == cramers_v(table)
                assert question.raw == cramers_v(table, corrected=False)
                tested, seed = recorded["table"].pop(0)
                expected = table_of(list(zip(sample[target], sample[name], strict=True)), sorted(set(values)), groups)
                assert (sorted(filter(any, tested.tolist())), seed) == (sorted(filter(any, expected)), 5)
            assert (question.target, question.feature, question.n, question.tested) == (
                target, name, len(known), len(sample),
            )  # fmt: skip
            feature = FEATURES.get(name)
            about = (feature.title, feature.layer) if feature else ("source", "origin")
            assert (question.title, question.layer, question.content) == (*about, about[1] == "weight")
            assert (question.adjusted, question.flagged, question.carriers) == (question.p_value, False, ())
    assert next(questions, None) is None
    assert not any(recorded.values())


def test_questions_of__a_target_of_one_group_or_of_too_many_sources_has_none(recorded, monkeypatch):
    counts = tally(blocks(frame(30, label="a"), 30))
    assert {q.target for q in questions_of(counts, 0)} == {"split", "source"}
    counts = tally(blocks(frame(30, split="train"), 30))
    assert {q.target for q in questions_of(counts, 0)} == {"label", "source"}
    for most, targets in ((2, {"label", "split", "source"}), (1, {"label", "split"})):
        monkeypatch.setattr(module, "MAX_SOURCES", most)
        assert {q.target for q in questions_of(tally(blocks(frame(30), 30)), 0)} == targets
