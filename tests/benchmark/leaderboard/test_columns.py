"""Meaning and order of the columns of a board, as the page's scripts read them."""

from benchmark.leaderboard.columns import OTHER, SUMMARIES, SUMMARY, board_families, column_order, meaning
from benchmark.tasks import all_tasks

KINDS = {"mp": "trace", "sp": "accuracy", "all": "accuracy", "spd": "size", "log": "log-odds"}
"""Kind of a mean by the first word of its name; a signed one is a difference."""


def test_means__their_kind_and_family_follow_from_what_they_are():
    for name, (family, label, explain, kind) in SUMMARIES.items():
        signed = name.endswith("-signed")
        assert kind == ("difference" if signed else KINDS[name.partition("-")[0]]), name
        assert family == (OTHER if signed or kind == "log-odds" else "summary"), name
        assert label
        assert explain.endswith(".")
        result = meaning(f"{SUMMARY}/{name}", "mean")
        assert (result.family, result.label, result.kind, result.parameter) == (family, label, kind, "")


def test_meaning__of_tasks():
    for task, question in all_tasks().items():
        for metric in question.metrics:
            result = meaning(task, metric.name)
            assert result.kind == metric.kind
            shown = metric.main or metric.kind == "trace" or question.family.grouped
            assert result.family == (question.family.name if shown else OTHER)
    jpeg = meaning("probe/jpeg", "accuracy")
    assert (jpeg.label, jpeg.group, jpeg.parameter) == (all_tasks()["probe/jpeg"].title, "", "jpeg")
    by_knn = meaning("probe/jpeg", "accuracy-knn")
    assert by_knn.label == f"{jpeg.label}, kNN reads"
    assert by_knn.explain.startswith(jpeg.explain)
    unknown = meaning("probe/new", "rate")
    assert (unknown.family, unknown.label, unknown.explain) == (OTHER, "probe/new rate", "rate of probe/new.")
    assert meaning(f"{SUMMARY}/new", "mean").family == OTHER


def test_column_order__families_then_tasks_then_metrics():
    names = [name for name, *_ in board_families()]
    columns = [(f"{SUMMARY}/{name}", "mean") for name in SUMMARIES]
    columns += [(task, metric.name) for task, question in all_tasks().items() for metric in question.metrics]
    columns += [("probe/new", "rate"), ("probe/new", "extra")]
    last_first = columns[::-1]
    ordered = sorted(last_first, key=lambda column: column_order(*column))
    families = [names.index(meaning(*column).family) for column in ordered]
    assert families == sorted(families)
    for family in set(families):
        members = [c for c, f in zip(ordered, families, strict=True) if f == family]
        assert [c for c in columns if c in members and c[0] != "probe/new"] == [
            c for c in members if c[0] != "probe/new"
        ]
    assert [metric for task, metric in ordered if task == "probe/new"] == ["extra", "rate"]
