"""Models that answer within a run: planted ones whose flips are computed by hand, noise floor, cache and failures."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from benchmark.answers import QuestionRule
from benchmark.encoders import AnsweringModel, Encoder
from builders.photos import PhotoSet
from builders.pixels import BUILT_IN, PROCESSINGS
from builders.pixels.process import process
from tests.support.planted_answerers import PixelAnswerer
from tests.support.scoring import as_rows, score_tasks, toy_encoder

TASK = "answers/jpeg"
NAMES = tuple(BUILT_IN["jpeg"].processings)


def picture(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    waves = np.add.outer(np.sin(np.arange(48) / rng.uniform(1, 9)), np.cos(np.arange(64) / rng.uniform(1, 9)))
    pixels = 128 + 40 * waves[..., None] + rng.normal(0, rng.uniform(2, 20), (48, 64, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


PICTURES = {f"{i}.png": picture(i) for i in range(30)}


def photo_set() -> PhotoSet:
    files = {photo: png(image) for photo, image in PICTURES.items()}
    labels = ["cat" if i % 2 else "dog" for i in range(len(files))]
    return PhotoSet.of_bytes("planted", files, labels, ["train" if i < 6 else "val" for i in range(len(files))])


def blockiness(pixels: np.ndarray) -> float:
    """How much more columns differ at the borders of the blocks of JPEG than elsewhere: it falls with the quality."""
    steps = np.abs(np.diff(pixels.astype(np.float64).mean(2), axis=1)).mean(0)
    border = np.arange(len(steps)) % 8 == 7
    return float(steps[border].mean() - steps[~border].mean())


def model(number, **more) -> tuple[Encoder, PixelAnswerer]:
    answerer = PixelAnswerer(number=number, **more)
    encoder = toy_encoder(as_rows, lambda image: np.asarray(image.resize((4, 4))), 48, name=answerer.id)
    return dataclasses.replace(encoder, answers=AnsweringModel(answerer, QuestionRule("presence"))), answerer


def rows_of(scored) -> tuple[dict, dict]:
    details = next(s for s in scored.result.scores if (s.task, s.metric) == (TASK, "flips")).details
    return details["by_processing"], details["noise"]


def test_a_model_that_reads_jpeg_quality_flips_where_computed_by_hand(tmp_path):
    photos = [name for i, name in enumerate(PICTURES) if i >= 6]
    numbers = {
        view: [blockiness(np.asarray(process(PICTURES[photo], PROCESSINGS[view], photo, 0))) for photo in photos]
        for view in NAMES
    }
    original = np.array([blockiness(np.asarray(PICTURES[photo])) for photo in photos])
    threshold = float(np.median([*original, *np.concatenate(list(numbers.values()))]))
    encoder, answerer = model(lambda pixels: blockiness(pixels) - threshold)
    processings, noise = rows_of(score_tasks(encoder, photo_set(), [TASK], tmp_path))
    for view in NAMES:
        flips = np.mean((np.array(numbers[view]) > threshold) != (original > threshold))
        assert processings[view]["flips"] == pytest.approx(flips, abs=1e-6)
    rates = [processings[view]["flips"] for view in NAMES]
    assert max(rates) > 0.2 > min(rates)
    assert {view: row["flips"] for view, row in noise.items()} == dict.fromkeys(
        ("png", "other-batch", "other-precision", "other-order"), 0.0
    )
    assert sorted(set(answerer.batches)) == [1, 2 + len(NAMES)]


def test_a_model_that_ignores_the_file_flips_nothing(tmp_path):
    """Its number is that of the photo's size, which no JPEG changes."""
    encoder, _ = model(lambda pixels: float(pixels.shape[0] % 5) - 2)
    processings, noise = rows_of(score_tasks(encoder, photo_set(), [TASK], tmp_path))
    assert {row["flips"] for row in (*processings.values(), *noise.values())} == {0.0}


def test_noise_floor__by_hand(tmp_path):
    """A model that says the first option that it is given, another one in another precision or batch."""

    class Fickle(PixelAnswerer):
        def logits(self, prepared):
            alone = len(prepared) == 1 and self.dtype == "float32"
            rows = []
            for _, prompt in prepared:
                first = prompt.words.index(prompt.text.split("Answer ")[1].split(" or ")[0])
                row = np.zeros(2, np.float32)
                row[first] = -1.0 if alone and first == 0 else 1.0
                rows.append(row if self.dtype == "float32" else row[::-1].copy())
            return rows

    answerer = Fickle()
    encoder = dataclasses.replace(model(blockiness)[0], answers=AnsweringModel(answerer, QuestionRule("presence")))
    processings, noise = rows_of(score_tasks(encoder, photo_set(), [TASK], tmp_path))
    assert {row["flips"] for row in processings.values()} == {0.0}
    flips = {view: row["flips"] for view, row in noise.items()}
    assert flips == {"png": 0.0, "other-batch": 1.0, "other-precision": 1.0, "other-order": 1.0}


@pytest.mark.slow
def test_cache__nothing_is_put_twice_and_another_question_is(tmp_path):
    photos, (encoder, answerer) = photo_set(), model(blockiness)
    first = score_tasks(encoder, photos, [TASK], tmp_path)
    count = len(answerer.batches)
    assert count > 24
    again = score_tasks(encoder, photos, [TASK], tmp_path)
    assert again.result.scores == first.result.scores
    assert len(answerer.batches) == count
    other_processor = PixelAnswerer(number=lambda pixels: 1.0, processor={"version": 2})
    changed = [
        dataclasses.replace(encoder, answers=AnsweringModel(other_processor, QuestionRule("presence"))),
        dataclasses.replace(encoder, answers=AnsweringModel(PixelAnswerer(number=blockiness), QuestionRule("choice"))),
    ]
    for other in changed:
        scores = score_tasks(other, photos, [TASK], tmp_path).result.scores
        assert len(other.answers.answerer.batches) > 24
        assert [score.value for score in scores] != [score.value for score in first.result.scores]


def test_photo_without_an_answer_and_a_model_that_fails(tmp_path):
    photos = photo_set()

    class Refusing(PixelAnswerer):
        def prepare(self, pictures, prompts):
            if any(np.array_equal(np.asarray(view), np.asarray(PICTURES["10.png"])) for view in pictures):
                raise ValueError("no such grid")
            return super().prepare(pictures, prompts)

    encoder = dataclasses.replace(
        model(blockiness)[0], answers=AnsweringModel(Refusing(number=blockiness), QuestionRule("presence"))
    )
    scored = score_tasks(encoder, photos, [TASK], tmp_path, fails=True)
    (failure,) = scored.result.failures
    assert (failure.kind, failure.name) == ("photo", "10.png")
    assert "ValueError" in failure.reason
    assert all(score.n == 23 for score in scored.result.scores)
    broken = dataclasses.replace(
        encoder, answers=AnsweringModel(PixelAnswerer(id="x", number=lambda pixels: np.nan), QuestionRule("presence"))
    )
    scored = score_tasks(broken, photos, [TASK, "knn/jpeg"], tmp_path, fails=True)
    assert [(f.kind, f.name) for f in scored.result.failures] == [("task", TASK)]
    assert {score.task for score in scored.result.scores} == {"knn/jpeg"}


def test_other_precision_that_does_not_fit_is_left_out(tmp_path, capsys):
    class Large(PixelAnswerer):
        def logits(self, prepared):
            if self.dtype != "float32":
                raise RuntimeError("CUDA out of memory")
            return super().logits(prepared)

    encoder = dataclasses.replace(
        model(blockiness)[0], answers=AnsweringModel(Large(number=blockiness), QuestionRule("presence"))
    )
    _, noise = rows_of(score_tasks(encoder, photo_set(), [TASK], tmp_path))
    assert sorted(noise) == ["other-batch", "other-order", "png"]
    assert "precision" in capsys.readouterr().err
