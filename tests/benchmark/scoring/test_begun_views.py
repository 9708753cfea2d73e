"""Workers begin with the views of a pass before its encoders have been tried; what is found does not depend on it."""

import dataclasses
import io
import multiprocessing
import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import benchmark.views.prefetch
from benchmark.encoders import Encoder, Pixels, Runtime
from benchmark.encoders.preprocess.pixels import ResizeTo
from benchmark.options import RunOptions
from benchmark.scoring import EncoderSource, Request, run_request, score_encoders
from benchmark.scoring import run as scoring
from benchmark.scoring.runner import ignore
from benchmark.tasks import all_tasks, fitting_tasks, select_tasks
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
