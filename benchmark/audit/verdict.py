"""The sentences of an audit: verdict, findings and repairs; and the search for duplicates."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from benchmark.audit.features import CONTENT_LAYERS, FILE_LAYERS
from benchmark.audit.power import smallest_effects, untestable_titles
from benchmark.audit.questions import owner_units
from benchmark.audit.result import TARGETS, Carrier, Duplicates, LayerScore, Question
from benchmark.audit.scan import shown
from benchmark.audit.subjects import PhotoSubject, Subject
from benchmark.audit.tally import MAX_SOURCES, Tally
from benchmark.judgement import (
    OWN_SOURCES,
    SAME_HEADERS,
    ConfoundVerdict,
    associated_text,
    audit_units_text,
    confound_verdict,
    pixels_text,
    power_text,
    predicted_text,
    unconfounded_text,
    untestable_text,
)
from builders.errors import PhotoError
from builders.splits import near_duplicate_groups

EXAMPLES = 5
"""Groups of duplicates whose ids are given."""

NAMED = 3
"""Values named in a sentence."""

MAX_CHECKED = 5000
"""Most files that are read whole to confirm that they are the same; of more files, size and first 64 KiB decide."""


def verdict_of(tally: Tally, questions: Sequence[Question], layers: Sequence[LayerScore]) -> ConfoundVerdict:
    """The verdict of an audit: of the label, else of the split or the source, else of what the content may explain."""
    every: list[Question | LayerScore] = [*questions, *layers]
    flagged = [one for one in every if one.mark != "calm"]
    found = [_effect_of(one) for one in flagged if one.mark == "found"]
    hints = [one for one in flagged if one.mark == "hint" and one.target == "label"]
    looked = any(s.layer == "pixels" and s.target == "label" for s in layers)
    of_headers = any(q.layer == "header" and q.target == "label" for q in questions)
    effects = smallest_effects(tally, questions, len(questions) + len(layers))
    testable = len(tally.names["label"]) > 1 and any(effect < 1 for _, effect in effects)
    if found:
        text = next(iter(_label_sentences(questions, layers) + _sentences_of_others(questions, layers)))
    elif len(tally.names["label"]) < 2:
        text = f"All {tally.photos:,} photos have one label, so there is nothing to predict."
    else:
        sentences = [unconfounded_text(tally.photos, pixels=looked and not hints), power_text(effects, _rule(tally))]
        if hints:
            sentences.insert(0, _hint_sentence(hints))
        if testable and not (looked or of_headers):
            sentences.append(SAME_HEADERS)
        text = " ".join(sentences)
    settled = testable and (looked or of_headers)
    return confound_verdict(text, found, [_effect_of(hint) for hint in hints], settled=settled, pixels=looked)


def _hint_sentence(hints: Sequence[Question | LayerScore]) -> str:
    """The sentence about the strongest hint, of a layer where there is one."""
    strongest = max(hints, key=lambda hint: (isinstance(hint, LayerScore), _effect_of(hint)))
    if isinstance(strongest, LayerScore):
        return _layer_sentence(strongest)
    effect = f"{strongest.measure} = {strongest.value:.2f}"
    return associated_text(TARGETS["label"], strongest.title, effect, ", which what the pictures show may explain.")


def _effect_of(flagged: Question | LayerScore) -> float:
    return flagged.value if isinstance(flagged, Question) else flagged.advantage


def _label_sentences(questions: Sequence[Question], layers: Sequence[LayerScore]) -> list[str]:
    """The sentence about the strongest confound of the label; none where nothing is flagged."""
    scores = {s.layer: s for s in layers if s.target == "label"}
    flagged = [q for q in questions if q.target == "label" and q.mark == "found"]
    by_source = next((q for q in flagged if q.feature == "source"), None)
    if by_source is not None and by_source.value > 0.99:
        return [OWN_SOURCES]
    strongest = [s for s in (scores.get(layer) for layer in (*FILE_LAYERS, "file")) if s is not None and s.flagged]
    if strongest:
        score = strongest[0] if strongest[0].layer == "header" else max(strongest, key=lambda s: s.advantage)
        read = [q for q in flagged if score.layer == "file" or q.layer == score.layer] or flagged
        return [_predicted(TARGETS["label"], score, read, verdict=True)]
    if flagged:
        first = flagged[0]
        effect = f"{first.measure} = {first.value:.2f}"
        return [associated_text(TARGETS["label"], first.title, effect, _because(flagged), verdict=True)]
    return []


def _sentences_of_others(questions: Sequence[Question], layers: Sequence[LayerScore]) -> list[str]:
    """A sentence about the strongest confound of the split, and of the source."""
    sentences: list[str] = []
    for target, start in TARGETS.items():
        if target == "label":
            continue
        flagged = [q for q in questions if q.target == target and q.mark == "found"]
        layers_of_target = [s for s in layers if s.target == target and s.mark == "found"]
        best = max(layers_of_target, key=lambda s: s.advantage, default=None)
        if best is not None:
            sentences.append(_predicted(start, best, flagged))
        elif flagged:
            effect = f"V = {flagged[0].value:.2f}"
            sentences.append(associated_text(start, flagged[0].title, effect, _because(flagged)))
    return sentences


def _layer_sentence(score: LayerScore) -> str:
    shares = score.title, _percent(score.accuracy), _percent(score.chance)
    return pixels_text(*shares, score.n, flagged=score.flagged, hidden=score.layer == "hidden")


def _rule(tally: Tally) -> str:
    """What errs together, as the judge names it."""
    return "photo" if owner_units(tally).alone else tally.unit


def _predicted(what: str, score: LayerScore, carried: Sequence[Question], *, verdict: bool = False) -> str:
    shares = _percent(score.accuracy), score.title, _percent(score.chance)
    return predicted_text(what, *shares, _because(carried), verdict=verdict)


def findings_of(
    verdict: ConfoundVerdict,
    tally: Tally,
    questions: Sequence[Question],
    layers: Sequence[LayerScore],
    duplicates: Sequence[Duplicates],
) -> tuple[str, ...]:
    """Sentences besides the verdict's, the most important first."""
    sentences = _sentences_of_others(questions, layers)
    scores = {(s.target, s.layer): s for s in layers}
    file = scores.get(("label", "file"))
    if file is not None and file.flagged and file.recalls:
        worst = ", ".join(f"{name} ({_percent(recall)})" for name, recall in list(file.recalls.items())[:5])
        sentences.append(f"The classes that the file tells best: {worst}.")
    sentences += [_layer_sentence(s) for layer in CONTENT_LAYERS if (s := scores.get(("label", layer)))]
    sentences += [_duplicate_sentence(d) for d in duplicates if d.groups]
    if tally.unreadable:
        sentences.append(f"{tally.unreadable:,} files could not be read and are left out.")
    if len(tally.names["source"]) > MAX_SOURCES:
        sentences.append(f"There are more than {MAX_SOURCES} sources, so they are not examined one by one.")
    units = owner_units(tally)
    if not units.alone:
        sentences.append(audit_units_text(_rule(tally), units.count, units.effective))
    untestable = untestable_titles(tally, questions, len(questions) + len(layers))
    if untestable:
        sentences.append(untestable_text(untestable, _rule(tally)))
    return tuple(sentence for sentence in sentences if sentence not in verdict.text)


def repairs_of(questions: Sequence[Question], layers: Sequence[LayerScore]) -> tuple[str, ...]:
    """Possible repairs, by the flagged layers."""
    every: list[Question | LayerScore] = [*questions, *layers]
    marked = [(one.layer, one.mark) for one in every if one.target == "label"]
    flagged = {layer for layer, mark in marked if mark == "found"}
    sentences: list[str] = []
    if flagged & {"header", "exif"}:
        sentences.append(
            "--repair reencode saves every photo the same way and drops all metadata: header and Exif then say "
            "nothing. It loses quality, and an earlier compression stays visible in the pixels."
        )
        sentences.append(
            "--repair match keeps photos so that every class has the same mixture of the values above; --repair drop "
            "keeps the value that the classes share most. Both keep the files as they are and lose photos."
        )
    if "size" in flagged:
        sentences.append("Size is not repaired by re-encoding: --repair match, or resize every photo to one size.")
    if "origin" in flagged:
        sentences.append("What comes from different sources is best collected again: every class from every source.")
    if any(layer in ("pixels", "hidden") and mark != "calm" for layer, mark in marked):
        sentences.append(
            "Traces in the pixels are not removed by re-encoding; match what can be named, or collect again."
        )
    return tuple(sentences)


def _because(questions: Sequence[Question]) -> str:
    """``: real photos have ..., fakes have ...``: the values that carry the strongest questions."""
    for question in questions:
        values = [c for c in question.carriers if c.share is not None]
        if question.feature in _LESS_READABLE and len(questions) > 1 and question is not questions[-1]:
            continue
        if values:
            return ": " + "; ".join(_carrier_text(question, c) for c in _first_per_group(values)) + "."
    numbers = [q for q in questions if q.carriers]
    if numbers:
        parts = "; ".join(f"{c.group}: {c.value}" for c in numbers[0].carriers)
        return f": {numbers[0].title}, {parts}."
    return "."


_LESS_READABLE = ("tables", "order")


def _first_per_group(carriers: Sequence[Carrier]) -> list[Carrier]:
    first: dict[str, Carrier] = {}
    for carrier in sorted(carriers, key=lambda c: (c.elsewhere or 0) - (c.share or 0)):
        first.setdefault(carrier.group, carrier)
    return list(first.values())[:NAMED]


def _carrier_text(question: Question, carrier: Carrier) -> str:
    return (
        f"{_percent(carrier.share or 0)} of {carrier.group} have {question.title} {carrier.value} "
        f"({_percent(carrier.elsewhere or 0)} elsewhere)"
    )


def _duplicate_sentence(duplicates: Duplicates) -> str:
    where = []
    if duplicates.across_splits:
        where.append(f"{duplicates.across_splits:,} groups across splits")
    if duplicates.across_classes:
        where.append(f"{duplicates.across_classes:,} across classes")
    what = "files are" if duplicates.kind == "same file" else "pictures are (nearly)"
    tail = f" ({', '.join(where)})" if where else ""
    return f"{duplicates.photos:,} {what} there more than once, in {duplicates.groups:,} groups{tail}."


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if 0.005 <= share < 0.995 or share in (0.0, 1.0) else f"{100 * share:.1f} %"


def duplicates_of(tally: Tally, subject: Subject) -> tuple[Duplicates, ...]:
    """Equal files, and equal pictures among the photos that were decoded."""
    same = _groups(tally.content)
    if isinstance(subject, PhotoSubject) and sum(map(len, same)) <= MAX_CHECKED:
        same = [group for members in same for group in _equal_files(members, tally, subject)]
    duplicates = [_duplicates("same file", same, len(tally.content), tally, subject)]
    hashed = int((tally.near != 0).sum())
    if hashed:
        near = _groups(near_duplicate_groups(tally.near))
        duplicates.append(_duplicates("same picture", near, hashed, tally, subject))
    return tuple(duplicates)


def _groups(keys: np.ndarray) -> list[np.ndarray]:
    """Positions of each key that occurs more than once."""
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(keys[order]) != 0]) if len(keys) else np.zeros(0, dtype=int)
    sizes = np.diff(np.r_[starts, len(keys)])
    return [order[start : start + size] for start, size in zip(starts, sizes, strict=True) if size > 1]


def _equal_files(members: np.ndarray, tally: Tally, subject: PhotoSubject) -> list[np.ndarray]:
    """Members in groups of equal bytes."""
    by_hash: dict[bytes, list[int]] = defaultdict(list)
    for i in members:
        try:
            by_hash[hashlib.sha256(subject.read(int(tally.rows[i]))).digest()].append(int(i))
        except PhotoError:  # the file was removed after the scan
            continue
    return [np.array(group) for group in by_hash.values() if len(group) > 1]


def _duplicates(kind: str, groups: list[np.ndarray], searched: int, tally: Tally, subject: Subject) -> Duplicates:
    across_classes = [len(_distinct(tally.label_codes[g])) > 1 for g in groups]
    across_splits = [len(_distinct(tally.split_codes[g])) > 1 for g in groups]
    shown_first = sorted(range(len(groups)), key=lambda k: -(across_classes[k] + across_splits[k]))[:EXAMPLES]
    return Duplicates(
        kind,
        photos=sum(map(len, groups)),
        groups=len(groups),
        across_classes=sum(across_classes),
        across_splits=sum(across_splits),
        searched=searched,
        examples=tuple(tuple(_id(subject, tally, int(i)) for i in groups[k][:4]) for k in shown_first),
    )


def _distinct(codes: np.ndarray) -> np.ndarray:
    return np.unique(codes[codes >= 0])


def _id(subject: Subject, tally: Tally, index: int) -> str:
    row = int(tally.rows[index])
    return shown(subject.photos.ids[row]) if isinstance(subject, PhotoSubject) else f"row {row}"
