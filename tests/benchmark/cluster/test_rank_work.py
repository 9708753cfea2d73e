"""What a rank does, unit by unit, with doubles of banks and tasks: calls, progress, files, facts and refusals."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from benchmark.bank import hash_of_block, key_hash
from benchmark.cluster import answers, embed, run_work, task_work
from benchmark.cluster.embed import EmbeddingWork, _BytesRead
from benchmark.cluster.task_work import TaskWork
from benchmark.options import RunOptions
from builders.cluster import Finished, Markers, Plan, RankPlan, StorageFolder, write_plan
from builders.errors import DataError, EncoderError
from builders.photos import PhotoSet
from builders.processes import memory_budget

PHOTOS = PhotoSet.of_bytes("toy", {f"{i:03d}": f"photo {i}".encode() for i in range(130)})
DIGESTS = [hashlib.sha256(f"photo {i}".encode()).digest() for i in range(130)]
BLOCKS = [DIGESTS[:64], DIGESTS[64:128], DIGESTS[128:]]


def key_of(name):
    return {"encoder": {"id": name, "dimension": 8}, "photos": {"bytes": "1f"}}


NAMES = [f"{number}/{spec}" for number in (0, 1) for spec in ("a", "b", "c")]
NOTES = {
    "device": "cpu",
    "groups": [["a", "b"], ["c"]],
    "runtimes": {"a": "torch", "b": "onnxruntime", "c": "torch"},
    "keys": {name: key_of(name) for name in NAMES},
    "inputs": {name: (4, 5) if name == "0/a" else None for name in NAMES},
    "bytes": [[hash_of_block(block) for block in BLOCKS], None],
}


def plan_of(**notes):
    return Plan("sweep", ("sweep",), "out", (RankPlan(("0/0/0",), 1),), {}, {**NOTES, **notes})


def passes(*recipes):
    return [SimpleNamespace(recipe=SimpleNamespace(view_keys=lambda r=r: f"views of {r}"), tasks=()) for r in recipes]


@pytest.fixture
def embedding(monkeypatch, tmp_path):
    """``EmbeddingWork`` on two photo sets in two passes; calls of ``fill_banks`` are recorded."""
    calls: list = []

    class Bank:
        def __init__(self, storage, key, views, blocks, before_writing):
            self.given = (str(storage), key, views, list(blocks))
            self.before_writing, self.index = before_writing, len(calls)
            self.files = {f"{key['encoder']['id']}/{views[-1]}": f"hash {views[-1]}"}
            self.failures = {f"bad of {key['encoder']['id']}"}

    def fill_banks(photos, recipe, encoders, banks, *, learn, **options):
        calls.append((photos.name, recipe.view_keys(), encoders, [bank.given for bank in banks], options))
        for index in (2, 3):
            learn(index, DIGESTS[index])
        return SimpleNamespace(failures=failing)

    failing: dict = {}
    monkeypatch.setattr(embed, "BlockBank", Bank)
    monkeypatch.setattr(embed, "fill_banks", fill_banks)
    monkeypatch.setattr(embed, "free_cached", lambda: calls.append("freed"))
    monkeypatch.setattr(
        embed, "load_encoder", lambda spec, **loading: calls.append((spec, loading)) or f"encoder {spec}"
    )
    monkeypatch.setattr(embed, "planned_passes", lambda tasks, photos, options: passes("p", "q"))
    monkeypatch.setattr(embed, "planned_answers", lambda *_: [])
    sets = [SimpleNamespace(photos=PHOTOS, tasks=()), SimpleNamespace(photos=PHOTOS, tasks=())]
    options = RunOptions(batch_size=5, workers=3, views=6, cache=tmp_path, storage="float16")
    planned = SimpleNamespace(sets=sets, options=options, loading={"device": "cpu"})
    work = EmbeddingWork(plan_of(), StorageFolder.of(tmp_path / "p"), planned)
    return SimpleNamespace(work=work, calls=calls, failing=failing, planned=planned, storage=f"{tmp_path}/p/banks")


def test_embedding__each_group_of_encoders_is_loaded_once_and_fills_the_blocks_of_its_units(embedding):
    ticks = []
    result = embedding.work.run(["1/1/0", "0/1/2", "0/1/0"], ticks.append)
    options = {"batch_size": 5, "workers": 3, "views": 6, "label": "1 encoders on toy"}
    banks = [
        [(embedding.storage, key_of(f"{number}/c"), f"views of {recipe}", blocks)]
        for number, blocks in ((0, [2, 0]), (1, [0]))
        for recipe in "pq"
    ]
    assert embedding.calls == [
        "freed", ("c", {"device": "cpu", "runtime": "torch"}),
        *(("toy", f"views of {'pq'[i % 2]}", ["encoder c"], banks[i], options) for i in range(4)),
    ]  # fmt: skip
    assert ticks == [1] * 4  # photos of the first pass alone
    assert result.files == {f"banks/{n}/c/{view}": f"hash {view}" for n in (0, 1) for view in "pq"}
    assert result.failures == 0  # those of a set are counted for its first group
    embedding.work.close()
    embedding.work.run(["0/0/1"], ticks.append)
    loaded = [call for call in embedding.calls if call[0] in ("a", "b")]
    assert loaded == [
        ("a", {"device": "cpu", "runtime": "torch"}), ("b", {"device": "cpu", "runtime": "onnxruntime"}),
    ]  # fmt: skip
    assert embedding.calls[-1][2] == ["encoder a", "encoder b"]
    assert embedding.calls[-1][4]["label"] == "2 encoders on toy"


def test_embedding__unusable_photos_are_counted_once_for_each_set(embedding):
    """The double of a bank has a failure of its encoder: two in the first group, whatever the passes."""
    assert embedding.work.run(["0/0/0", "0/1/0"], lambda items: None).failures == 2
    embedding.work._keys = {"1/c": key_of("1/c")}  # a set on which no encoder of the first group could be measured
    assert embedding.work.run(["1/1/0"], lambda items: None).failures == 1


def test_embedding__failures_of_encoders_are_one_sentence(embedding):
    embedding.failing.update({"a": "it is broken", "b": "so is that"})
    with pytest.raises(EncoderError, match=r"^it is broken; so is that$"):
        embedding.work.run(["0/0/0"], lambda items: None)


def test_embedding__facts_of_photos_and_encoders(embedding, monkeypatch):
    monkeypatch.setattr(embed, "codec_canary", lambda: "canary")
    monkeypatch.setattr(embed, "photo_facts", lambda photos: {f"photos of {photos.name}": "some"})
    monkeypatch.setattr(embed, "key_of", lambda *given: {"given": given, "photos": {"bytes": given[2]}})
    monkeypatch.setattr(embed, "encoder_facts", lambda spec, photos, key: {spec: key["given"]})
    monkeypatch.setattr(embed, "planned_answers", lambda encoder, *_: ["bank"] if encoder == "encoder a" else [])
    monkeypatch.setattr(embed, "answer_key", lambda *given: given)
    monkeypatch.setattr(embed, "answer_facts", lambda spec, photos, keys: {f"answers of {spec}": keys})
    assert embedding.work.facts(["0/0/2", "0/0/1"]) == {
        "the codec canary": "canary",
        "photos of toy": "some",
        **{spec: (f"encoder {spec}", PHOTOS, "1f", "float16") for spec in "ab"},
        "answers of a": [("bank", PHOTOS, "1f")],
        "answers of b": [],
    }


def test_in_order__groups_first():
    units = ["1/0/5", "0/2/1", "0/0/3", "1/0/2", "0/1/0", "1/2/0"]
    assert embed._in_order(units) == [(0, 0), (1, 0), (0, 1), (0, 2), (1, 2)]


@pytest.mark.parametrize("block", [0, 1, 2])
def test_bytes_read__photos_of_a_block_are_those_of_the_plan(block):
    read = _BytesRead(PHOTOS, NOTES["bytes"][0])
    read.digests.update(enumerate(DIGESTS))
    read.check(block)
    last = [63, 127, 129][block]
    for change in ({last: b"other"}, None):
        if change:
            read.digests.update(change)
        else:
            del read.digests[last]
        with pytest.raises(DataError) as error:
            read.check(block)
        assert str(error.value) == (
            f"toy: the photos of block {block} (from {64 * block:03d}) are not those of the plan, byte for byte; "
            "nothing of it was saved"
        )
    _BytesRead(PHOTOS, None).check(block)  # photos without files have no hashes


def test_fill_rank__what_a_model_is_given(monkeypatch):
    calls = []
    monkeypatch.setattr(answers, "fill_answers", lambda *given, **options: calls.append((given, options)))
    released = []
    answerer = SimpleNamespace(identity={"id": "model"}, release=lambda: released.append(1))
    for view, label in (("zoom", "model zoom"), ("", "model answers")):
        bank = SimpleNamespace(recipe="recipe", answerer=answerer, asking="asking", view=view)
        digests: dict = {}
        answers.fill_rank(bank, "store", PHOTOS, [2, 0], RunOptions(batch_size=7, workers=2), digests)
        given, options = calls.pop()
        assert given == (PHOTOS, "recipe", answerer, "asking", "store")
        options.pop("learn")(5, b"digest")
        assert digests == {5: b"digest"}
        assert options == {"batch_size": 7, "workers": 2, "label": label, "blocks": [2, 0]}
    assert released == [1, 1]


def test_answer_facts__one_for_all_banks_of_a_model():
    assert answers.answer_facts("m", PHOTOS, []) == {}
    keys = [{"x": 1}, {"y": 2}]
    fact = {"everything that decides the answers of m on toy": key_hash({"0": {"x": 1}, "1": {"y": 2}})}
    assert answers.answer_facts("m", PHOTOS, keys) == fact


class Cached:
    """The entry of an outcome in a folder of its own."""

    def __init__(self, folder):
        self.folder, self.parts, self.forgotten = folder, folder / "parts", 0

    def forget(self):
        self.forgotten += 1


@pytest.fixture
def tasks(monkeypatch, tmp_path):
    """``TaskWork`` whose tasks write a file each; the bank is a double."""
    calls: list = []
    jobs: dict = {}
    task_names = ("knn/jpeg", "probe/jpeg", "probe/odd")

    def job_of(name):
        cached = Cached(tmp_path / "cache" / name.replace("/", "-"))

        def run_part(given, part, parts):
            calls.append((name, given, part, parts))
            cached.parts.mkdir(parents=True, exist_ok=True)
            (cached.parts / f"{part}-of-{parts}.npz").write_bytes(f"{name} {part}".encode())

        task = SimpleNamespace(name=name, run_part=run_part if name.startswith("knn") else None)
        return SimpleNamespace(task=task, task_input=f"input of {name}", cached=cached)

    def jobs_on(bank, how, photos, chosen, options, run):
        calls.append((bank, how, photos.name, [task.name for task in chosen], options.cache.name != "", run.failures))
        jobs.update({task.name: job_of(task.name) for task in chosen})
        return [(jobs[task.name], None) for task in chosen]

    def run_jobs(requested):
        for job in requested:
            calls.append(("run", job.task.name))
            if job.task.name == "probe/odd":
                yield SimpleNamespace(outcome=None, reason="too few photos")
                continue
            job.cached.folder.mkdir(parents=True, exist_ok=True)
            for name in (task_work.KEY, task_work.OUTCOME):
                (job.cached.folder / name).write_bytes(f"{name} of {job.task.name}".encode())
            yield SimpleNamespace(outcome="outcome", reason="")

    view_pass = SimpleNamespace(tasks=tuple(SimpleNamespace(name=name) for name in task_names), recipe=None)
    notices: list = []
    monkeypatch.setattr(task_work, "planned_passes", lambda *given: [view_pass])
    monkeypatch.setattr(task_work, "jobs_on", jobs_on)
    monkeypatch.setattr(task_work, "run_jobs", run_jobs)
    monkeypatch.setattr(task_work, "notice", notices.append)
    monkeypatch.setattr(TaskWork, "_bank", lambda self, key, view_pass, made: f"bank of {key['encoder']['id']}")
    storage, plan = StorageFolder.of(tmp_path / "p"), plan_of()
    write_plan(plan, storage)
    planned = SimpleNamespace(sets=[SimpleNamespace(photos=PHOTOS, tasks=())] * 2, options=RunOptions(cache=tmp_path))
    work = TaskWork(plan, storage, planned)
    yield SimpleNamespace(work=work, calls=calls, jobs=jobs, notices=notices, storage=storage, plan=plan)
    work.close()


def test_tasks__parts_then_whole_tasks_on_one_bank(tasks):
    ticks = []
    units = ["task 0 0 0/0 probe/odd", "task 0 0 1/3 knn/jpeg", "task 0 0 0/0 probe/jpeg", "task 0 0 0/0 other/x"]
    result = tasks.work.run(units, ticks.append)
    (bank, how, photos, chosen, *_), *rest = tasks.calls
    assert (bank, photos, chosen) == ("bank of 0/a", "toy", ["knn/jpeg", "probe/jpeg", "probe/odd"])
    assert (how.name, how.device) == ("0/a", "cpu")
    assert how == task_work.Computation("0/a", key_of("0/a"), "cpu", (4, 5))
    assert rest == [("knn/jpeg", "input of knn/jpeg", 1, 3), ("run", "probe/odd"), ("run", "probe/jpeg")]
    assert ticks == [1, 1, 1]
    assert tasks.notices == ["probe/odd of 0/a failed (too few photos); 'finish' tries it again"]
    place = f"outcomes/{key_hash(key_of('0/a'))}"
    contents = {
        f"{place}/knn--jpeg/parts/1-of-3.npz": b"knn/jpeg 1",
        f"{place}/probe--jpeg/key.json": b"key.json of probe/jpeg",
        f"{place}/probe--jpeg/{task_work.OUTCOME}": f"{task_work.OUTCOME} of probe/jpeg".encode(),
    }
    assert {path: tasks.storage.read(path) for path in result.files} == contents
    assert result.files == {path: hashlib.sha256(data).hexdigest() for path, data in contents.items()}
    assert result.failures == 0
    assert {name: job.cached.forgotten for name, job in tasks.jobs.items()} == {
        "knn/jpeg": 1, "probe/jpeg": 1, "probe/odd": 0,
    }  # fmt: skip


def test_tasks__a_bank_for_each_encoder_and_set_and_none_for_other_tasks(tasks):
    units = ["task 1 2 0/0 probe/jpeg", "task 0 1 0/0 probe/jpeg", "task 1 2 0/0 knn/jpeg", "task 0 0 0/0 other/x"]
    tasks.work.run(units, lambda items: None)
    made = [(call[0], call[1].input_size, call[3]) for call in tasks.calls if str(call[0]).startswith("bank")]
    assert made == [("bank of 1/c", None, ["knn/jpeg", "probe/jpeg"]), ("bank of 0/b", None, ["probe/jpeg"])]


def test_tasks__queries_that_cannot_be_divided_are_refused(tasks):
    with pytest.raises(DataError) as error:
        tasks.work.run(["task 0 0 0/2 probe/jpeg"], lambda items: None)
    assert str(error.value) == "probe/jpeg: its queries cannot be divided; plan again"


def test_tasks__parts_of_other_ranks_are_fetched_for_the_whole_task(tasks):
    below = f"outcomes/{key_hash(key_of('0/a'))}/knn--jpeg/parts"
    files = {}
    for name in ("0-of-2.npz", "1-of-2.npz"):
        tasks.storage.write(f"{below}/{name}", name.encode())
        files[f"{below}/{name}"] = hashlib.sha256(name.encode()).hexdigest()
    Markers(tasks.storage, tasks.plan.name).finish(0, Finished({**files, "outcomes/x": "0"}, 1, 0, 1.0))
    tasks.work.run(["task 0 0 0/0 knn/jpeg"], lambda items: None)
    parts = tasks.jobs["knn/jpeg"].cached.parts
    assert {path.name: path.read_bytes() for path in parts.iterdir()} == {
        name: name.encode() for name in ("0-of-2.npz", "1-of-2.npz")
    }


def test_tasks__facts_of_the_sets_of_units_in_a_budget(tasks, monkeypatch):
    monkeypatch.setattr(task_work, "photo_facts", lambda photos: {f"photos {id(photos)}": "x"})
    sets = [SimpleNamespace(photos=object()), SimpleNamespace(photos=object())]
    monkeypatch.setattr(tasks.work._planned, "sets", sets, raising=False)
    units = ["task 1 0 0/0 knn/jpeg", "task 1 1 0/0 knn/jpeg"]
    assert tasks.work.facts(units) == {f"photos {id(sets[1].photos)}": "x"}
    assert tasks.work.facts([*units, "task 0 0 0/0 knn/jpeg"]).keys() == {f"photos {id(s.photos)}" for s in sets}


@pytest.mark.parametrize("module", [embed, task_work])
def test_work__pictures_share_the_memory_of_the_run(module, embedding, tasks, monkeypatch):
    limits = []

    @contextmanager
    def budget(limit):
        limits.append(limit)
        with memory_budget(limit):
            yield

    monkeypatch.setattr(module, "memory_budget", budget)
    one, unit = (embedding, "0/0/0") if module is embed else (tasks, "task 0 0 0/0 probe/jpeg")
    one.work._planned.options = RunOptions(memory=77)
    one.work.run([unit], lambda items: None)
    assert limits == [77]


def test_run_work__either_kind_is_opened_when_it_is_needed_and_the_other_is_closed(monkeypatch, tmp_path):
    events = []

    def kind(name):
        def made(self, *given):
            self.given = given
            events.append(f"open {name}")

        return type(name, (), {
            "__init__": made, "close": lambda self: events.append(f"close {name}"),
            "facts": lambda self, units: (name, units), "run": lambda self, units, tick: (name, units, tick),
        })  # fmt: skip

    monkeypatch.setattr(run_work, "EmbeddingWork", kind("embedding"))
    monkeypatch.setattr(run_work, "TaskWork", kind("tasks"))
    monkeypatch.setattr(run_work, "share_machine", lambda count: events.append(count))
    monkeypatch.setattr(run_work, "ranks_here", lambda: 3)
    monkeypatch.setattr(run_work, "device_name", lambda device: f"name of {device}")
    of = []
    monkeypatch.setattr(
        run_work, "PlannedRun", SimpleNamespace(of=lambda request, output, **chosen: of.append((request.words, chosen)))
    )
    work = run_work.RunWork(plan_of(), StorageFolder.of(tmp_path))
    assert (work.device, of) == ("name of cpu", [(("sweep",), {"device": "cpu"})])
    assert work.facts(["0/0/0"]) == ("embedding", ["0/0/0"])
    assert work.run(["0/0/1"], print) == ("embedding", ["0/0/1"], print)
    assert work.run(["task 0 0 0/0 a/b"], print)[0] == "tasks"
    work.close()
    work.close()
    assert work.facts(["0/0/0"])[0] == "embedding"
    assert events == [3, "open embedding", "close embedding", "open tasks", "close tasks", "open embedding"]
