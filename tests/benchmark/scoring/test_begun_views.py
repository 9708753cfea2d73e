"""Workers begin with the views of a pass before its encoders have been tried; what is found does not depend on it."""

import dataclasses
import io
import multiprocessing
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import benchmark.views.prefetch
from benchmark.encoders import Encoder, Runtime
from benchmark.encoders.preprocess.pixels import Pixels, ResizeTo
from benchmark.options import RunOptions
from benchmark.scoring import run as scoring
from benchmark.scoring.request import EncoderSource, Request
from benchmark.scoring.run import score_encoders
from benchmark.scoring.runner import ignore, run_request
from benchmark.tasks.registry import all_tasks, fitting_tasks, select_tasks
from benchmark.views import Prefetch, ProcessingViews, StreamRequest
from builders.errors import EncoderError
from builders.photos import Labels, PhotoSet
from builders.processes import child_environment
from tests.support.scoring import as_rows, toy_encoder

SMALL = Pixels((ResizeTo(4, 4, Image.Resampling.BOX),))


def photo_set(number: int = 0) -> PhotoSet:
    """12 train and 8 test photos of two classes, none larger than 20 pixels; others under each number."""
    files = {}
    for i in range(20):
        buffer = io.BytesIO()
        shade = np.random.default_rng(20 * number + i).normal(100 + 20 * (i % 2), 45, (20, 20, 3))
        Image.fromarray(np.clip(shade, 0, 255).astype(np.uint8)).save(buffer, "PNG")
        files[f"photo-{i}"] = buffer.getvalue()
    photos = PhotoSet.of_bytes(f"noise {number}", files, None, ["train"] * 12 + ["val"] * 8)
    return dataclasses.replace(
        photos, labels=Labels(("dark", "light"), np.arange(20, dtype=np.int32) % 2), neighbours=3
    )


def one_at_a_time(batch: torch.Tensor) -> torch.Tensor:
    assert len(batch) == 1
    return as_rows(batch)


def encoder(preprocess=SMALL, embed=as_rows, name="small") -> Encoder:
    return toy_encoder(embed, preprocess, 48, name=name)


def score(cache, *encoders: Encoder, tasks=("knn/jpeg",), photos: PhotoSet | None = None, **options):
    photos = photos or photo_set()
    fitting = fitting_tasks(select_tasks(tasks, all_tasks()), photos, named=True)
    chosen = RunOptions(cache=cache, workers=options.pop("workers", 1), resamples=100, assignment_seeds=2, **options)
    return score_encoders(encoders, photos, fitting, chosen)


@pytest.fixture
def order(monkeypatch):
    """What happens in a run, as words: each stream of views (how many it is asked for), and the trial."""
    seen, stream, tried = [], benchmark.views.prefetch.view_stream, scoring.cached_trials

    def counted(photos, indices, recipe, preprocesses, **options):
        seen.append(f"{len(preprocesses)} x {len(indices)} x {len(recipe.names)}")
        return stream(photos, indices, recipe, preprocesses, **options)

    monkeypatch.setattr(benchmark.views.prefetch, "view_stream", counted)
    monkeypatch.setattr(
        scoring, "cached_trials", lambda *given, **named: seen.append("trial") or tried(*given, **named)
    )
    return seen


def working() -> list:
    return [child for child in multiprocessing.active_children() if child.name == "views"]


def test_score__views_are_begun_before_the_trial_and_made_once(tmp_path, order):
    (begun,) = score(tmp_path / "a", encoder())
    assert order == ["1 x 20 x 6", "trial"]
    assert not working()
    order.clear()
    (alone,) = score(tmp_path / "b", encoder(), workers=0)
    assert order == ["trial", "1 x 20 x 6"]  # there is nobody to begin
    assert begun.result.scores == alone.result.scores
    stages = list(begun.result.cost["seconds"])
    assert [stage for stage in stages if stage != "compiling kernels"] == list(alone.result.cost["seconds"])


class OwnPixels(Pixels):
    """Somebody's, which may do anything when it is called."""


@pytest.mark.parametrize("changed", [lambda image: np.asarray(image.resize((4, 4))), OwnPixels(SMALL.steps)])
def test_score__somebodys_code_is_not_called_by_workers_before_it_has_been_tried(changed, tmp_path, order):
    score(tmp_path, encoder(changed))
    assert order == ["trial", "1 x 20 x 6"]


def test_score__where_a_part_is_there_nothing_is_begun(tmp_path, order):
    score(tmp_path, encoder())
    order.clear()
    score(tmp_path, encoder(), tasks=("probe/jpeg",))  # the same views
    assert order == ["trial"]
    order.clear()
    score(tmp_path, encoder(), tasks=("knn/jpeg", "knn/sharpening"))  # some of which are there
    assert order == ["trial", "1 x 20 x 2"]
    order.clear()
    score(tmp_path, encoder(), fresh=True)
    assert order == ["trial", "1 x 20 x 6"]


def test_score__an_encoder_that_fails_its_trial_takes_its_views_along(tmp_path, order):
    other = Pixels((ResizeTo(4, 4, Image.Resampling.NEAREST),))
    good, bad = score(tmp_path, encoder(), encoder(other, one_at_a_time, "bad"))
    assert [(failure.kind, failure.name) for failure in bad.result.failures] == [("encoder", "bad")]
    assert order == ["2 x 20 x 6", "trial", "1 x 20 x 6"]
    assert good.result.scores == score(tmp_path / "alone", encoder())[0].result.scores


def test_score__a_run_that_ends_early_ends_what_it_began(tmp_path, order, monkeypatch):
    def refused(*given):
        assert working()
        raise EncoderError("small: not what torch computes")

    monkeypatch.setattr(scoring, "resolve_runtime", refused)
    with pytest.raises(EncoderError) as held:  # with its frames
        score(tmp_path, encoder())
    assert held.traceback
    assert order == ["1 x 20 x 6", "trial"]
    assert not working()


def requested(cache, *names, begun: bool = False, sets: int = 1, **options) -> Request:
    """Encoders of some names, each of which is loaded in two steps, as one is that another runtime is tried with."""
    chosen = RunOptions(cache=cache, workers=1, resamples=100, assignment_seeds=2, **options)

    def source(name):
        def load(*, before_conversion=ignore):
            one = encoder(name=name)
            before_conversion(replace(one, runtime=Runtime("torch", "9")))
            printed = [len(working()), bool(child_environment().get("CAMTRACE_MEMORY_BUDGET"))]
            assert printed == ([1, True] if begun else [0, False])
            return replace(one, runtime=Runtime("openvino", "1", 1e-7))

        return EncoderSource(load, None)

    return Request({name: source(name) for name in names}, [photo_set(i) for i in range(sets)], ["knn/jpeg"], chosen)


def test_run_request__views_are_begun_while_another_runtime_is_tried(tmp_path, order):
    done = run_request(requested(tmp_path / "a", "small", begun=True))
    assert done.complete
    assert order == ["1 x 20 x 6", "trial"]  # once for both, within the budget of memory
    assert not working()
    assert "CAMTRACE_MEMORY_BUDGET" not in child_environment()
    (alone,) = score(tmp_path / "b", encoder())
    assert done.results[0].scores == alone.result.scores


def test_run_request__nothing_is_begun_that_would_wait_for_kernels(tmp_path, order, monkeypatch):
    monkeypatch.setattr("benchmark.scoring.runner.engine_being_compiled", lambda: True)
    assert run_request(requested(tmp_path, "small")).complete
    assert order == ["1 x 20 x 6", "trial"]


def test_run_request__of_several_encoders_nothing_is_begun_before_all_are_loaded(tmp_path, order):
    assert run_request(requested(tmp_path, "small", "other")).complete
    assert order == ["1 x 20 x 6", "trial"]


@pytest.mark.slow
def test_run_request__views_of_the_next_set_are_begun_before_the_tasks_on_one(tmp_path, order, monkeypatch):
    running, budgets, run_jobs, opened = [], [], scoring.run_jobs, os.memfd_create

    def seen(jobs):
        order.append("tasks")
        running.append(len(working()))
        return run_jobs(jobs)

    monkeypatch.setattr(scoring, "run_jobs", seen)
    monkeypatch.setattr(os, "memfd_create", lambda name: budgets.append(name) or opened(name))
    done = run_request(requested(tmp_path / "a", "small", "other", sets=3))
    assert done.complete
    assert order == ["1 x 20 x 6", "trial", "1 x 20 x 6", "tasks", "trial", "1 x 20 x 6", "tasks", "trial", "tasks"]
    assert running == [1, 1, 0]
    assert budgets == ["camtrace-memory"]  # that of workers who go on is not closed under them
    assert not working()
    assert "CAMTRACE_MEMORY_BUDGET" not in child_environment()
    for number, one in enumerate(done.results[::2]):
        (alone,) = score(tmp_path / "alone", encoder(), photos=photo_set(number), workers=0)
        assert one.scores == alone.result.scores
    order.clear()
    assert run_request(requested(tmp_path / "a", "small", "other", sets=3)).complete
    assert order == ["trial", "tasks"] * 3  # all embeddings are there


def test_run_request__an_encoder_that_cannot_be_loaded_takes_its_views_along(tmp_path, order):
    def load(*, before_conversion=ignore):
        before_conversion(encoder())
        assert working()
        raise EncoderError("small: it cannot be loaded")

    one = replace(requested(tmp_path, "small"), encoders={"small": EncoderSource(load, None)})
    assert [lost.name for lost in run_request(one).failed] == ["small"]
    assert order == ["1 x 20 x 6"]
    assert not working()


def test_views_ahead__gives_what_is_held_to_who_asks_for_exactly_it(monkeypatch):
    given, closed = [], []

    class Stream:
        def __init__(self, *requested, **how):
            given.append(self)

        def close(self):
            closed.append(self)

    monkeypatch.setattr(benchmark.views.prefetch, "view_stream", Stream)
    photos = photo_set()
    home = (torch.device("cpu"),)
    requested = StreamRequest(photos, (0, 1), ProcessingViews(("resizing-x2",)), (SMALL,), 2, "auto", home, (2,))
    again = dataclasses.replace(requested, preprocesses=(Pixels(SMALL.steps),))
    ahead = Prefetch()
    compiled = iter([5.0, 7.0])
    with monkeypatch.context() as first:
        first.setattr(benchmark.views.prefetch, "compiling_s", lambda: next(compiled))
        ahead.begin(requested)
    assert ahead.begun_s > 0
    assert ahead.compiling_s == 2
    assert ahead.stream(again) is given[0]
    assert (ahead.begun_s, ahead.compiling_s) == (0, 0)  # counted by who took it
    assert ahead.stream(again) is given[1]
    assert not closed
    others = (
        {"photos": photo_set()}, {"indices": (0, 2)}, {"recipe": ProcessingViews(("resizing-x0.5",))}, {"mode": "cpu"},
        {"preprocesses": (SMALL, SMALL)}, {"workers": 1}, {"targets": (torch.device("meta"),)}, {"gathers": (1, 1)},
    )  # fmt: skip
    for other in others:
        ahead.begin(requested)
        assert ahead.stream(dataclasses.replace(requested, **other)) is given[-1]
        assert closed[-1] is given[-2]
    assert len(closed) == len(others)
    ahead.begin(requested)
    ahead.begin(again)  # goes on
    ahead.begin(dataclasses.replace(requested, workers=1))
    ahead.close()
    assert closed[-2:] == given[-2:]
    assert len(closed) == len(others) + 2
