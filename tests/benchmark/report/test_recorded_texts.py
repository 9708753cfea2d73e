"""Tables and sections of reports do not move between versions. Sentences of the judge have tests of their own."""

import dataclasses

from benchmark.judgement import verdicts
from benchmark.report import report_text
from benchmark.report.answers import answers_section
from benchmark.report.copies import copies_text
from benchmark.report.course import course_text, courses
from benchmark.report.detection import controls_text, detection_text, detectors_text
from benchmark.report.groups import groups_text
from benchmark.report.layers import layers_text, maps_text
from benchmark.report.scenes import scenes_text
from benchmark.report.text import settings_line
from benchmark.report.training import curves_table, training_text
from benchmark.report.variance import variance_text
from benchmark.results import Failure, Score
from benchmark.tasks import all_tasks
from tests.benchmark.leaderboard.test_detectors import FAIR, detector
from tests.benchmark.report.test_groups import DETAILS
from tests.benchmark.report.test_recorded_figures import (
    CONTROLS,
    FEW,
    FINAL,
    FLIPS,
    layered,
    neighbours,
    of_data,
    pairs,
    regions,
    traces,
    training,
    uneven,
    with_outputs,
)
from tests.benchmark.report.test_scenes import result_of
from tests.benchmark.report.test_text import curve, probe, result, shares
from tests.benchmark.report.test_variance import variance_result
from tests.support.recorded import check_recorded


def texts_of_depth():
    depth = with_outputs([*layered(20, ["mean", "cls"], 0.2), *layered(3, ["gem"], 0.3)[:1]], *FINAL)
    maps = [with_outputs(regions(side), *FINAL) for side in (2, 9)]
    made = {
        "layers": layers_text(depth, all_tasks()),
        "no final": layers_text(with_outputs(depth.outputs), all_tasks()),
    }
    return made | {f"maps {i}": maps_text(m, all_tasks()) + layers_text(m, all_tasks()) for i, m in enumerate(maps)}


def texts_of_detectors(make):
    unaudited = detector(make, "bare", 0.7, 0.72, audit=None, worst=0.51, bias=-0.1)
    results = [
        detector(make, "best", 0.85, 0.55),
        unaudited,
        dataclasses.replace(unaudited, scores=(*unaudited.scores[1:2], Score("x/y", "set", "z", 0.1, 0, 0.2, 9, 0.5))),
        detector(make, "leak", 0.97, 0.5, audit={**FAIR, "flagged": True}, data="other"),
        dataclasses.replace(unaudited, scores=unaudited.scores[:1]),
    ]
    for each in results:
        for score in each.scores:
            for row in score.details.get("by_processing", {}).values():
                row.update(both=0.7, real_only=0.8, generated_only=0.6)
    of_one = detectors_text(results[:1], all_tasks())
    made = {"several detectors": detectors_text(results, all_tasks()), "one detector": of_one}
    for i, each in enumerate(results):
        made[f"detector {i}"] = detection_text(each) + controls_text(each, all_tasks())
    return made


def texts_of_scenes():
    odd = {"pairs": 4, "units": 300}
    more = (
        Score("retrieval/pairs", "set", "other-staining-at-1", 0.6, 0.5, 0.7, 300, 0.03, {**odd, "pairs": 7}),
        Score("retrieval/pairs", "set", "other-staining-cosine", 0.75, 0.7, 0.8, 300, 0.65, {**odd, "pairs": 7}),
        Score("retrieval/pairs", "set", "something-at-5", 0.6, 0.5, 0.7, 300, 0.03, odd),
        Score("retrieval/pairs", "set", "at-5", 0.6, 0.5, 0.7, 300, 0.03),
    )
    made = {}
    for count in (2, 8, 9):
        result = result_of(count)
        made[f"{count} groups"] = scenes_text(dataclasses.replace(result, scores=(*result.scores, *more)))
    uneven_scores = dataclasses.replace(result_of(3), scores=result_of(3).scores[:2])
    details = uneven_scores.scores[0].details
    for distractors in ("target", "own", "all", "x\x1b"):
        changed = {**details, "group_matrix": uneven(3), "distractors": distractors}
        first = dataclasses.replace(uneven_scores.scores[0], details=changed)
        made[distractors] = scenes_text(dataclasses.replace(uneven_scores, scores=(first,)))
    return made


def texts_of_answers():
    rows = {"jpeg-q95-444": FLIPS, "x\x1b": {**FLIPS, "flips": 0.4, "flips_high": 0.45, "margin": -0.1}}
    details = {"by_processing": rows, "questions": 3000, "guess_flips": 0.6, "noise": {"png": FEW, "<b>": FLIPS}}
    margins = {"10 to 20": {"questions": 70, "flips": 0.1, "low": 0.05, "high": 0.2}}
    margins = {**margins, "0 to 10": {"questions": 30.0, "flips": 0.5, "low": 0.4, "high": 0.6}}

    def scored(task, **more):
        numbers = (("flips", 0.25), ("accuracy-original", 0.8), ("accuracy", 0.7), ("right-to-wrong", 0.15))
        numbers += (("change", -0.1), ("margin", 0.05), ("beyond-noise", 0.2))
        return [
            Score(task, "set", m, v, v - 0.05, v + 0.04, 1234, 0.25, {**details, **more} if m == "flips" else {})
            for m, v in numbers
        ]

    tower = [
        Score("probe/jpeg", "set", "accuracy", 0.9, 0.85, 0.95, 500, 0.2),
        Score("knn/jpeg", "set", "spd", 0.1, 0.05, 0.15, 500, 0.0),
    ]
    both = [*scored("answers/jpeg", by_margin=margins), *scored("answers/resizing", no_option=0.07)[:2], *tower]
    alone = scored("answers/sharpening", noise={})[:1]
    made = {name: answers_section(with_outputs((), *scores)) for name, scores in {"both": both, "alone": alone}.items()}
    return made | {"none": answers_section(with_outputs((), *tower))}


def test_texts_of_reports__are_as_recorded(make):
    groups = [
        DETAILS | {"notes": ["One.", "Two."], "curve": [{"k": k, "index": k / 90} for k in (1, 2, 5, 61)]},
        {name: value for name, value in DETAILS.items() if name not in ("clusters", "resampled")},
    ]
    of_groups = [Score(f"probe/{i}", "set", "index", 0.5, 0.4, 0.6, 10, 0.3, d) for i, d in enumerate(groups)]
    spread = {"deviation": 0.02, "probes": 8}
    rising = [
        probe("jpeg", shares(0.6), learning_curve=curve(0.3, 0.4, 0.5, 0.6), training_spread=spread),
        probe(
            "resizing",
            shares(0.7),
            learning_curve=curve(0.65, 0.7, rises=False),
            training_spread={**spread, "probes": 5},
        ),
        probe("make", shares(0.7), learning_curve={**curve(0.5, 0.7), "gain": None}),
        probe("iso", shares(0.5)),
    ]
    chosen = {"threshold": 0.9, "stated_rate": 0.02, "chosen_on": 99, "matches": 3, "expected_matches": [0, 6]}
    copies = [
        make.score("copies/edited", "matched", 0.6, by_copy={"turned": 0.5, "cropped": 0.7}),
        make.score("copies/edited", "false-matches", 0.03, **chosen),
    ]
    judged = list(verdicts(result(*rising), all_tasks()).values())
    first = list(training(("a/step_20", "a/step_3", "a/step_100"), (0.5, 0.4, 0.75), content=0.95))
    lacking = [dataclasses.replace(first[0], scores=first[0].scores[:1]), *first[1:]]
    made = {
        **texts_of_depth(),
        **texts_of_detectors(make),
        **texts_of_scenes(),
        **texts_of_answers(),
        "groups": groups_text(with_outputs((), *of_groups)),
        "training": training_text(rising, judged) + curves_table(rising),
        "course": "".join(course_text(c, all_tasks()) for c in courses(lacking)),
        "variance": variance_text(variance_result()),
        "copies": copies_text(make.result("a", copies)) + copies_text(make.result("a", copies[:1])),
    }
    check_recorded("texts-of-reports", {name: text.splitlines() for name, text in made.items()})


def rows_of(text):
    return [line for line in text.splitlines() if line.startswith(("|", "#"))]


def sets_of_scores():
    """Results with every kind of table, and one of scores that no question lists."""
    readers = [
        dataclasses.replace(score, metric=f"accuracy-{name}", value=score.value - 0.1)
        for score in traces()[1:3]
        for name in ("knn", "mlp")
    ][:3]
    masked = [probe("make", shares(0.6), controls=CONTROLS, mask_ratio=0.9), probe("iso", shares(0.5), controls={})]
    jitter = {"value": 0.75, "low": 0.7, "high": 0.8, "jitters": 14}
    jitter |= {"beyond": {"value": 0.1, "low": 0.05, "high": 0.15, "p_value": 1e-9}}
    extremes = [
        Score(
            "knn/adversary",
            "toy",
            m,
            v,
            v - 0.05,
            v + 0.05,
            300,
            0.05,
            {"jitter": jitter, "k": 7} if m == "worst" else {},
        )
        for m, v in (("worst", 0.65), ("average", 0.7), ("best", 0.8))
    ]
    unknown = [
        Score("mine/x", "toy", "y", 0.6, 0.5, 0.7, 100, 0.1),
        Score("mine/x", "toy", "z", 0.4, 0.3, 0.5, 90, 0.2),
    ]
    sampled = dataclasses.replace(
        neighbours("resizing", 0.6)[2], details={"k": 5, "sampled_queries": 900, "jitter": jitter}
    )
    zero = dataclasses.replace(neighbours("sharpening", 0.5)[0], chance=0.0)
    every = [
        *traces(),
        *readers,
        *masked,
        *neighbours("jpeg", 0.8),
        sampled,
        *extremes,
        *pairs("toy", 0.6, 0.4),
        *unknown,
    ]
    options = {"preset": "camtrace", "preprocess": "own", "ties": "nearest", "orientation": "stored"}
    whole = result(*every, **options, assignment_seeds=3)
    other = result(*traces()[:2], zero, **{**options, "ties": "random"}, assignment_seeds=1)
    return [whole, of_data(other, "other"), dataclasses.replace(other, encoder={"id": "another"})], unknown


def test_tables_of_whole_reports__are_as_recorded():
    sets, unknown = sets_of_scores()
    whole, other = sets[0], dataclasses.replace(sets[2], encoder={"id": "mine"})
    made = {f"report {i}": rows_of(report_text(r, all_tasks(), {"a|b": "why"})) for i, r in enumerate((sets, [other]))}
    for name, results in {"all": sets, "whole": [whole], "plain": [result(*unknown, preset="p")]}.items():
        made[f"settings of {name}"] = settings_line(results, all_tasks())
    check_recorded("tables-of-reports", made)


def test_whole_reports__are_as_recorded():
    """Every line, sentences too, of results with costs, failures, facts of the data and a command."""
    sets, unknown = sets_of_scores()
    environment = {
        **sets[0].environment,
        "trial": {"random": "it gave other numbers twice"},
        "processings_by": {"b": "exact engine", "a": "Pillow"},
        "preprocessing_by": "exact engine",
        "devices": 2,
        "runtime": {"name": "openvino", "version": "2026.4", "relative_error": 1.2e-7},
        "command": "camtrace score --model MODEL",
        "local": {"model": "MODEL is a file.", "data": "PATH is a folder."},
    }
    evidence = {"simulated": "of 12 scenes", "design": "2 x 3.", "left out": "videos: 2", "terms": "for research"}
    facts = dataclasses.replace(
        sets[0],
        data={**sets[0].data, "photos": {"train": 300, "val": 0, "test": 20}, "smoke_test": True, "evidence": evidence},
        environment=environment,
        failures=tuple(Failure("photo", f"{i}.jpg", "it is broken") for i in range(22)),
        cost={"views": 1200, "views_per_second": 41.6, "seconds": {"a": 1.26, "b": 30}, "encoders_in_pass": 3},
    )
    plain = dataclasses.replace(result(*unknown), data={"name": "b"}, environment={}, cost={"views": 0, "seconds": {}})
    made = {
        "facts": report_text([facts], all_tasks()),
        "several": report_text([facts, sets[2], plain], all_tasks(), {"x": "no such model", "y": "too large"}),
        "plain": report_text([plain], all_tasks()),
    }
    check_recorded("whole-reports", {name: text.splitlines() for name, text in made.items()})
