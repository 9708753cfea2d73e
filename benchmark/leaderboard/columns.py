"""What the board's columns are: families, names, what they mean, and in which order they stand."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.results import ATTRIBUTES, PROCESSING_CLASSES

FAMILIES = (
    (
        "summary",
        "Summary",
        "Means over the tasks of a family, only for encoders that have every one of them. MP: how well a linear probe "
        "reads the label; SP: plain kNN accuracy; SPD: how far the label moves kNN or retrieval.",
    ),
    (
        "processing",
        "Processing probes",
        "Accuracy of a linear probe that reads how a photo was processed from its embedding.",
    ),
    (
        "acquisition",
        "Acquisition probes",
        "Accuracy of a linear probe that reads how a photo was taken from its embedding, most of the picture hidden.",
    ),
    (
        "knn",
        "kNN set-ups",
        "Accuracy of nearest neighbours by content, when the processing of query and neighbours agrees or differs.",
    ),
    ("retrieval", "Camera pairs", "Recall@1 of a photo's partner that was taken with a camera of the other type."),
    ("other", "Further scores", "Other means over tasks, and scores of result files that belong to no family above."),
)
"""Id, label and explanation of each family, in order."""

_PROBES = {
    "jpeg": ("JPEG", "Which of 6 JPEG settings: quality 75, 85, 95 with and without chroma subsampling."),
    "sharpening": ("Sharpening", "None, factor 2 or factor 4."),
    "resizing": ("Resizing", "None, half size or double size."),
    "interpolation": ("Interpolation", "Which filter resized the photo: bilinear, bicubic, Lanczos or box."),
    "make": ("Make", "Which maker's camera."),
    "model": ("Model", "Which camera model."),
    "smartphone-model": ("Phone model", "Which smartphone model."),
    "is-smartphone": ("Phone or not", "Smartphone or another camera."),
    "exposure": ("Exposure", "Which exposure time."),
    "aperture": ("Aperture", "Which f-number."),
    "iso": ("ISO", "Which ISO speed."),
    "focal-length": ("Focal length", "Which focal length."),
}
_SETUPS = {
    "all-same": "Every photo has the query's processing.",
    "all-diff": "Every other photo has one processing, not the query's.",
    "pos-same": "Photos of the query's class share its processing, all others do not: processing helps.",
    "neg-same": "Photos of other classes share the query's processing, its own class does not: processing misleads.",
    "uniform": "Every photo of the collection has a random processing.",
    "uniform-test": "Every query has a random processing, the collection has one.",
    "spd": "pos-same minus neg-same: what processing moves.",
}
_RECALLS = {
    "same": "Every distractor comes from the target's camera type, the other one than the query's (easy).",
    "different": "Every distractor comes from the query's own camera type (hard).",
    "spd": "same minus different: what the camera moves.",
}
SUMMARIES = {
    "mp-processing": ("summary", "MP processing", "Mean accuracy over the four processing probes.", "trace"),
    "mp-acquisition": ("summary", "MP acquisition", "Mean accuracy over the acquisition probes.", "trace"),
    "sp": ("summary", "SP", "Plain kNN accuracy: all-same, mean over the four parameters.", "accuracy"),
    "spd-processing": ("summary", "SPD processing", "|pos-same - neg-same|, mean over the four parameters.", "size"),
    "spd-acquisition": ("summary", "SPD acquisition", "|recall same - recall different|.", "size"),
    "spd-processing-signed": (
        "other",
        "SPD processing, signed",
        "pos-same minus neg-same, mean over the four parameters: above 0 where a shared processing attracts.",
        "difference",
    ),
    "log-odds-processing": (
        "other",
        "Log-odds processing",
        "Natural log-odds of accuracy less those of chance, mean over the four processing probes: 0 is a guess.",
        "log-odds",
    ),
    "log-odds-acquisition": (
        "other",
        "Log-odds acquisition",
        "Natural log-odds of accuracy less those of chance, mean over the acquisition probes: 0 is a guess.",
        "log-odds",
    ),
}
"""Family, label, meaning and kind of each mean; MP, SP, SPD are the follow-up study's (arXiv 2608.05424)."""

PARAMETERS = tuple(PROCESSING_CLASSES)
STUDY_ATTRIBUTES = tuple(a.name for a in ATTRIBUTES)


@dataclass(frozen=True)
class Meaning:
    """What one kind of number is, whatever the data set."""

    family: str
    label: str
    explain: str
    kind: str
    """``trace`` (read by a probe), ``accuracy`` (of the content task), ``difference`` (signed), ``size`` (unsigned)
    or ``log-odds`` (of a probe)."""
    group: str = ""
    """The kNN columns of one parameter stand together."""
    parameter: str = ""
    """Processing parameter or acquisition attribute, where there is one."""


def meaning(task: str, metric: str) -> Meaning:
    """What the board knows about a task and metric; those it does not know stand under "Other scores"."""
    family, _, subject = task.partition("/")
    if family == "summary" and subject in SUMMARIES:
        return Meaning(*SUMMARIES[subject])
    if family == "probe" and metric == "accuracy" and subject:
        label, explain = _PROBES.get(subject, (subject, f"Which class of {subject}."))
        return Meaning("processing" if subject in PARAMETERS else "acquisition", label, explain, "trace", "", subject)
    if family == "knn" and metric in _SETUPS:
        kind = "difference" if metric == "spd" else "accuracy"
        label = "SPD" if metric == "spd" else metric
        return Meaning("knn", label, _SETUPS[metric], kind, _PROBES.get(subject, (subject,))[0], subject)
    if task == "retrieval/pairs" and metric in _RECALLS:
        label = {"same": "Recall, same", "different": "Recall, different", "spd": "SPD"}[metric]
        return Meaning("retrieval", label, _RECALLS[metric], "difference" if metric == "spd" else "accuracy")
    kind = "difference" if metric == "spd" else "trace" if family == "probe" else "accuracy"
    return Meaning("other", f"{task} {metric}", f"{metric} of {task}.", kind, "", subject)


def position(task: str, metric: str) -> tuple[int, int, int, str, str]:
    """Sort key of a column within a data set."""
    family, _, subject = task.partition("/")
    families = [name for name, *_ in FAMILIES]
    subjects = [*SUMMARIES, *_PROBES]
    metrics = [*_SETUPS, *(name for name in _RECALLS if name != "spd")]
    if family == "retrieval":
        metrics = list(_RECALLS)
    return (
        families.index(meaning(task, metric).family),
        subjects.index(subject) if subject in subjects else len(subjects),
        metrics.index(metric) if metric in metrics else len(metrics),
        task,
        metric,
    )
