"""Answers in banks: every row by hand, complete keys, resuming, memory that runs out."""

import errno
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.answers import ClosedQuestion
from benchmark.bank import Asking, Bank, PhotoHashes, answering, fill_answers, key_of, read_answers_of
from benchmark.encoders import Prompt
from benchmark.views import ORIGINAL, PNG, ProcessingViews, WithPng
from builders.errors import DiskError, EncoderError
from builders.photos import PhotoSet
from builders.pixels import PROCESSINGS
from builders.pixels.process import process
from builders.processes import child_environment, memory_budget
from tests.support.images import ppm
from tests.support.planted_answerers import MeanAnswerer
from tests.support.processes import start_python

VIEWS = (ORIGINAL, "jpeg-q75-420", "jpeg-q95-444")


def some_photos(n: int = 150, broken: tuple[int, ...] = ()) -> PhotoSet:
    return PhotoSet.of_bytes("some", {f"{i}": b"broken" if i in broken else ppm(i) for i in range(n)})


def questions_about(photos: PhotoSet) -> tuple[ClosedQuestion, ...]:
    """Every third photo has none, every other one two."""
    questions = []
    for at, photo in enumerate(photos.ids):
        if at % 3:
            questions.append(ClosedQuestion("letters", photo, "What is it?", ("cat", "dog", "cow"), 0))
        if at % 2:
            questions.append(ClosedQuestion("words", photo, "Is it night?", ("yes", "no"), 1))
    return tuple(questions)


def opened(root: Path, photos: PhotoSet, answerer, asking: Asking, views=VIEWS) -> Bank:
    key = key_of(answering(answerer, asking), photos, PhotoHashes(photos).bytes_hash(), "float32")
    return Bank.open(root, key, ProcessingViews(views).view_keys())


def filled(root: Path, photos: PhotoSet, answerer, asking: Asking, views=VIEWS, **options) -> Bank:
    bank = opened(root, photos, answerer, asking, views)
    fill_answers(photos, ProcessingViews(views), answerer, asking, bank, **{"workers": 0, "batch_size": 64, **options})
    return bank


def expected(photos: PhotoSet, question: ClosedQuestion, view: str) -> np.ndarray:
    """Reference: the planted answerer's definition on a view made by itself."""
    index = photos.ids.index(question.photo)
    image = Image.fromarray(np.frombuffer(photos.read(index)[-24 * 32 * 3 :], np.uint8).reshape(24, 32, 3))
    if view != ORIGINAL:
        image = process(image, PROCESSINGS[view], question.photo, 0)
    mean = np.float32(np.asarray(image, np.float64).mean())
    return np.array([mean + at * len(question.text) for at in range(len(question.options))], np.float32)


@pytest.mark.parametrize(("batch_size", "workers"), [(64, 0), (2, 3), (1, 1)])
def test_fill_answers__every_row_by_hand(tmp_path, batch_size, workers):
    photos = some_photos(70, broken=(7, 13))
    asking = Asking(questions_about(photos))
    answerer = MeanAnswerer()
    bank = filled(tmp_path, photos, answerer, asking, batch_size=batch_size, workers=workers)
    assert bank.complete
    assert set(bank.failures()) == {"7", "13"}
    assert asking.width == bank.dim == 5
    assert max(answerer.batches) == min(batch_size, 6)
    assert answerer.checked == 1
    for view in VIEWS:
        logits = read_answers_of(bank, asking, photos, view)
        assert logits.shape == (len(asking.questions), 3)
        for question, row in zip(asking.questions, logits, strict=True):
            count = len(question.options)
            assert np.isnan(row[count:]).all()
            if question.photo in ("7", "13"):
                assert np.isnan(row).all()
            else:
                np.testing.assert_array_equal(row[:count], expected(photos, question, view))
    without = bank.view(ORIGINAL, np.arange(70))[0:70][[0, 6, 12]]
    np.testing.assert_array_equal(without, np.zeros((3, 5)))


def test_asking__reversed_options():
    """Reversed options are another prompt, with logits in the order of the question."""
    prompts = set(Asking(questions_about(some_photos(9)), reverse=True).prompts())
    assert prompts == {
        Prompt("What is it?\nA. cow\nB. dog\nC. cat\nAnswer with the letter.", ("C", "B", "A")),
        Prompt("Is it night? Answer no or yes.", ("yes", "no")),
    }


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_with_png__in_the_batch_of_the_picture(tmp_path, batch_size):
    """The copy as PNG gives the pixels of the photo, in a batch of the same size, also where it is made again alone."""
    photos = some_photos(9)
    asking, recipe = Asking(questions_about(photos)), WithPng(ProcessingViews(VIEWS))

    class OfBatch(MeanAnswerer):
        """The logit is the number of pictures in the batch, and the mean of its last one: rounding, made visible."""

        def logits(self, prepared):
            value = len(prepared) + (prepared[-1][0].mean() if batch_size > 1 else 0)
            return [np.full(len(prompt.words), value, np.float32) for _, prompt in prepared]

    for answerer in (OfBatch(), MeanAnswerer(id="mean")):
        key = key_of(answering(answerer, asking), photos, PhotoHashes(photos).bytes_hash(), "float32")
        bank = Bank.open(tmp_path, key, recipe.view_keys())
        for _ in range(2):
            fill_answers(photos, recipe, answerer, asking, bank, batch_size=batch_size, workers=0)
            first, copy = (read_answers_of(bank, asking, photos, view) for view in (ORIGINAL, PNG))
            np.testing.assert_array_equal(first, copy)
            bank._views[PNG].forget([0])  # as after a kill between two markers
    assert recipe.view_keys()[PNG] not in ProcessingViews(VIEWS).view_keys().values()


def test_keys__everything_that_decides_logits(tmp_path):
    photos = some_photos(9)
    questions = questions_about(photos)
    first = (MeanAnswerer(), Asking(questions))
    changed = [
        first,
        (MeanAnswerer(id="other"), first[1]),
        (MeanAnswerer(revision="abc"), first[1]),
        (MeanAnswerer(weights_sha256="1" * 64), first[1]),
        (MeanAnswerer(processor={"template": "1"}), first[1]),
        (MeanAnswerer(dtype="bfloat16"), first[1]),
        (first[0], Asking(questions[1:])),
        (first[0], Asking((*questions[:-1], ClosedQuestion("words", questions[-1].photo, "Day?", ("yes", "no"), 1)))),
        (first[0], Asking(questions, reverse=True)),
        (first[0], Asking(questions, batch=1)),
    ]
    folders = {opened(tmp_path, photos, *one).folder for one in changed}
    assert len(folders) == len(changed)
    assert opened(tmp_path, photos, MeanAnswerer(), Asking(questions)).folder in folders


def count_of(photos: PhotoSet, asking: Asking, first: int = 0) -> int:
    """Number of photos from an index on that have a question."""
    return sum(photo in asking.by_photo for photo in photos.ids[first:])


def test_resume__only_what_is_missing(tmp_path):
    photos = some_photos(150)
    asking = Asking(questions_about(photos))
    whole = filled(tmp_path / "whole", photos, MeanAnswerer(), asking)
    with pytest.raises(KeyboardInterrupt):
        filled(tmp_path / "part", photos, MeanAnswerer(stop_after=80), asking)
    again = MeanAnswerer()
    bank = filled(tmp_path / "part", photos, again, asking)
    assert again.batches == [6 if len(asking.by_photo[p]) == 2 else 3 for p in photos.ids[64:] if p in asking.by_photo]
    for view in VIEWS:
        one, other = (read_answers_of(b, asking, photos, view) for b in (whole, bank))
        np.testing.assert_array_equal(one, other)
    idle = MeanAnswerer()
    filled(tmp_path / "part", photos, idle, asking)
    assert (idle.batches, idle.checked) == ([], 0)


SLOW_RUN = """
import sys, time
from pathlib import Path
from tests.benchmark.bank.test_answers import *
class Slow(MeanAnswerer):
    def logits(self, prepared):
        time.sleep(0.01)
        return super().logits(prepared)
photos = some_photos(200)
slow = Slow()
filled(Path(sys.argv[1]), photos, slow, Asking(questions_about(photos)))
print(len(slow.batches))
"""


@pytest.mark.slow
def test_kill_and_two_processes_at_once(tmp_path):
    photos = some_photos(200)
    asking = Asking(questions_about(photos))
    whole = filled(tmp_path / "whole", photos, MeanAnswerer(), asking)
    folder = tmp_path / "killed"
    killed = start_python("-c", SLOW_RUN, folder)
    while not list(folder.rglob("*.json"))[2 * len(VIEWS) :]:  # keys of bank and views, and markers of a block
        assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not opened(folder, photos, MeanAnswerer(), asking).complete
    both = [start_python("-c", SLOW_RUN, folder) for _ in range(2)]
    made = [int(process.communicate(timeout=100)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert max(made) < count_of(photos, asking)
    bank = opened(folder, photos, MeanAnswerer(), asking)
    assert bank.complete
    assert bank.check() == {}
    for view in VIEWS:
        one, other = (read_answers_of(b, asking, photos, view) for b in (whole, bank))
        np.testing.assert_array_equal(one, other)


def test_another_view_alone(tmp_path):
    photos = some_photos(20)
    asking = Asking(questions_about(photos))
    filled(tmp_path, photos, MeanAnswerer(), asking, VIEWS[:2])
    more = MeanAnswerer()
    filled(tmp_path, photos, more, asking, VIEWS)
    assert max(more.batches) == 2  # two questions under the third view


def test_memory_that_runs_out(tmp_path, capsys):
    photos = some_photos(20)
    asking = Asking(questions_about(photos))
    bank = filled(tmp_path, photos, MeanAnswerer(most=2), asking)
    assert "vlm:planted" in capsys.readouterr().err
    logits = read_answers_of(bank, asking, photos, VIEWS[1])
    for question, row in zip(asking.questions, logits, strict=True):
        np.testing.assert_array_equal(row[: len(question.options)], expected(photos, question, VIEWS[1]))
    with pytest.raises(EncoderError, match="question"):
        filled(tmp_path / "none", photos, MeanAnswerer(most=0), asking)


def test_full_disk(tmp_path, monkeypatch):
    """No space for the rows is refused before anything is asked; none for a marker ends the run, and it resumes."""
    photos = some_photos(150)
    asking = Asking(questions_about(photos))

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("benchmark.bank.view_file.reserve_space", full)
        with pytest.raises(DiskError, match="disk"):
            opened(tmp_path, photos, MeanAnswerer(), asking)
    bank = opened(tmp_path, photos, MeanAnswerer(), asking)
    with monkeypatch.context() as patch:
        patch.setattr("benchmark.bank.view_file.write_text_atomically", full)
        with pytest.raises(OSError, match="device"):
            fill_answers(photos, ProcessingViews(VIEWS), MeanAnswerer(), asking, bank, workers=2, batch_size=64)
    again = MeanAnswerer()
    assert filled(tmp_path, photos, again, asking).complete
    assert len(again.batches) == count_of(photos, asking)  # no block was marked as finished


def test_logits_that_are_not_finite(tmp_path):
    photos = some_photos(4)
    asking = Asking(questions_about(photos))
    with pytest.raises(EncoderError, match="--dtype float32"):
        filled(tmp_path, photos, MeanAnswerer(offset=np.inf), asking)


def test_threads_share_the_budget_of_memory_of_the_call(tmp_path):
    budgets = []

    class Seeing(MeanAnswerer):
        def prepare(self, pictures, prompts):
            budgets.append("CAMTRACE_MEMORY_BUDGET" in child_environment())
            return super().prepare(pictures, prompts)

    photos = some_photos(8)
    with memory_budget():
        filled(tmp_path, photos, Seeing(), Asking(questions_about(photos)), workers=2)
    assert set(budgets) == {True}
