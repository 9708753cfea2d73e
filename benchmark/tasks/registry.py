"""The list of all tasks, and the selection of those that can be run on given photos."""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import subject_of
from benchmark.tasks.acquisition_probe import ACQUISITION_PROBES, attribute_labels
from benchmark.tasks.adversary import ADVERSARY_TASKS
from benchmark.tasks.answers.parameter import ANSWER_TASKS, parameter_answers
from benchmark.tasks.class_probe import SEMANTICS_TASKS
from benchmark.tasks.forensics.crossing import CROSSING_TASK
from benchmark.tasks.forensics.detect import DETECT_TASK
from benchmark.tasks.forensics.floor import FLOOR_TASK
from benchmark.tasks.forensics.unseen import LEAVE_ONE_OUT_TASK
from benchmark.tasks.groups.data import ANY_GROUP, GROUP_NAME
from benchmark.tasks.groups.neighbours import group_knn, robustness
from benchmark.tasks.groups.probe import group_probe
from benchmark.tasks.knn import NEIGHBOUR_TASKS, parameter_knn
from benchmark.tasks.processing_probe import PROCESSING_PROBES, parameter_probe
from benchmark.tasks.scenes.retrieval import RETRIEVAL_TASKS
from benchmark.tasks.scenes.variance import VARIANCE_TASKS
from benchmark.tasks.task import Task
from builders import pixels
from builders.errors import DataError, UsageError, unknown_name
from builders.exif import column_spelling
from builders.photos import UNLABELLED, PhotoSet
from builders.pixels import (
    ALL_PARAMETERS,
    BUILT_IN,
    Parameter,
    known_parameters,
    processings_in_use,
    read_definitions,
)
from builders.plugins import load_plugin, loaded, plugin_source, plugins

TASKS: Mapping[str, Task] = MappingProxyType(
    {
        **PROCESSING_PROBES,
        **ACQUISITION_PROBES,
        **NEIGHBOUR_TASKS,
        **ADVERSARY_TASKS,
        **RETRIEVAL_TASKS,
        **VARIANCE_TASKS,
        **SEMANTICS_TASKS,
        **ANSWER_TASKS,
        **{task.name: task for task in (FLOOR_TASK, DETECT_TASK, LEAVE_ONE_OUT_TASK, CROSSING_TASK)},
    }
)
"""Every task by name, in the order of reports, without those of processing files. A new family is a new module and a
name here."""

PARAMETER_TASKS: Mapping[str, Callable[[Parameter], Task]] = MappingProxyType(
    {"probe": parameter_probe, "knn": parameter_knn, "answers": parameter_answers}
)
"""Makers of the tasks of a parameter, by the first part of their names."""

GROUP_TASKS: Mapping[str, Callable[[str], Task]] = MappingProxyType(
    {"probe": group_probe, "knn": group_knn, "robustness": robustness}
)
"""Makers of the tasks of a group, by the first part of their names."""

TEMPLATES: Mapping[str, Task] = MappingProxyType(
    {
        f"{head}/{ANY_GROUP}": replace(
            make(ANY_GROUP), unfit=lambda photos: "it has no groups (group=NAME=SOURCE gives one)", for_group=make
        )
        for head, make in GROUP_TASKS.items()
    }
)
"""Tasks that stand for those of every group of a photo set."""

WATCHED = "probe/jpeg"
"""The default task for watching a training: it needs few photos, and every file has the trace."""


@functools.cache
def plugin_tasks(family: str, processings: str = "") -> Mapping[str, Task]:
    """The tasks ``family/...`` that a package or an extra adds, by name. They are run only where they are named.

    Args:
        family: a key of ``plugins("tasks")``.
        processings: of ``processings_in_use``.

    Raises:
        UsageError: the package cannot be imported, or gives something else.
    """
    tasks: dict[str, Task] = {}
    for task in load_plugin("tasks", family, Iterable):  # type: ignore[type-abstract]
        if not isinstance(task, Task) or task.name.partition("/")[0] != family or task.name in TASKS:
            what = task.name if isinstance(task, Task) else type(task).__name__
            where = plugin_source(plugins("tasks")[family])
            raise UsageError(f"{where}: its {family!r} of camtrace.tasks holds {what}, no new task {family}/...")
        tasks[task.name] = replace(task, by_name=True, by_family=True)
    return _of_file(tasks, processings) if processings else MappingProxyType(tasks)


@functools.cache
def _all_plugin_tasks(processings: str) -> Mapping[str, Task]:
    load = functools.partial(plugin_tasks, processings=processings)
    return MappingProxyType({n: t for _, tasks in loaded(plugins("tasks"), load) for n, t in tasks.items()})


@functools.lru_cache(maxsize=1024)
def group_task(head: str, group: str) -> Task:
    """The task of a group; the same object at every call."""
    return GROUP_TASKS[head](group)


def tasks_with(processings: str) -> Mapping[str, Task]:
    """The listed tasks while a processing file is in use: its parameters take the place of the built-in ones.

    A built-in parameter that the file does not have is then used only where it is named.

    Args:
        processings: of ``processings_in_use``.
    """
    return _built_in_of_file(processings) if processings else TASKS


@functools.lru_cache(maxsize=8)
def _built_in_of_file(processings: str) -> Mapping[str, Task]:
    return _of_file(TASKS, processings)


def _of_file(tasks: Mapping[str, Task], processings: str) -> Mapping[str, Task]:
    definitions = read_definitions(processings)
    listed: dict[str, Task] = {}
    for name, task in tasks.items():
        if task.with_processings is None:
            listed[name] = task
            continue
        for made in task.with_processings(definitions):
            listed.setdefault(made.name, made)
        listed.setdefault(name, replace(task, by_name=True, by_family=False))
    return MappingProxyType(listed)


def chosen_processings(what: str) -> str:
    """The value of ``--processings`` as options hold it, see ``builders.pixels.chosen_processings``.

    Raises:
        UsageError: the file is not right, or a parameter has the name of another question's subject.
    """
    chosen = pixels.chosen_processings(what)
    for name in read_definitions(chosen).parameters if chosen else ():
        taken = [task for task in TASKS if task.partition("/")[2] == name and name not in BUILT_IN]
        if taken:
            raise UsageError(f"--processings {what}: the parameter {name} needs another name: {taken[0]} is a task")
    return chosen


class _AllTasks(Mapping[str, Task]):
    """The tasks by name. Photo sets name groups: their tasks are known by form, and iteration has templates.

    Tasks of a processing file are listed while it is in use; later in the process they are known by name.
    """

    def __getitem__(self, name: str) -> Task:
        for known in (tasks_with(processings_in_use()), TEMPLATES):
            if name in known:
                return known[name]
        head, _, subject = name.partition("/")
        if head in plugins("tasks") and name in (added := plugin_tasks(head, processings_in_use())):
            return added[name]
        if head in PARAMETER_TASKS and subject in known_parameters():
            return PARAMETER_TASKS[head](known_parameters()[subject])
        if head not in GROUP_TASKS or not GROUP_NAME.fullmatch(subject):
            raise KeyError(name)
        return group_task(head, subject)

    def __iter__(self) -> Iterator[str]:
        return iter((*tasks_with(processings_in_use()), *TEMPLATES, *_all_plugin_tasks(processings_in_use())))

    def __len__(self) -> int:
        return len(tasks_with(processings_in_use())) + len(TEMPLATES) + len(_all_plugin_tasks(processings_in_use()))


_ALL_TASKS = _AllTasks()


def all_tasks() -> Mapping[str, Task]:
    """Every task by name, in the order of reports.

    ``probe/<group>`` and the like stand for the tasks of every group of a photo set. The task of one group is found by
    its name, ``probe/scanner``, though it is not listed.

    >>> list(all_tasks())[:2], all_tasks()["robustness/scanner"].title
    (['probe/jpeg', 'probe/sharpening'], 'scanner')
    """
    return _ALL_TASKS


def select_tasks(
    patterns: Sequence[str], tasks: Mapping[str, Task], groups: Collection[str] | None = None
) -> list[Task]:
    """Tasks whose names match one of some shell patterns, in registry order; all tasks if there is no pattern.

    A task whose subject must be named (``Task.by_name``) is selected by ``probe/jpeg-fine`` and ``*/jpeg-fine``, but
    not by ``probe/*``; one whose family is enough, by ``copies/*`` too. Patterns with wildcards select the
    tasks that stand for those of every group.

    Args:
        patterns: of names.
        tasks: to choose from.
        groups: names of the groups of the photos; None if they are not known yet: names that may be those of a group's
            tasks are then passed over.

    Raises:
        UsageError: a pattern matches nothing, or only tasks that must be named.
    """
    of_groups: list[Task] = []
    for pattern in patterns:
        if matched := fnmatch.filter(tasks, pattern):
            if not any(_matches(tasks[name], pattern) for name in matched):
                raise UsageError(f"{pattern!r} chooses no task: write the name, such as {matched[0]}")
            continue
        head, _, group = pattern.partition("/")
        named = [g for g in groups or () if head == "*" or head in GROUP_TASKS if fnmatch.fnmatchcase(g, group)]
        of_groups += [group_task(h, g) for g in named for h in GROUP_TASKS if head in (h, "*")]
        possible = groups is None and head in ("*", *GROUP_TASKS) and GROUP_NAME.fullmatch(group) is not None
        if not named and not possible:
            known = [*tasks, *(f"{h}/{g}" for g in groups or () for h in GROUP_TASKS)]
            if "*" in pattern:
                known += [f"{head}/*" for head in dict.fromkeys(name.partition("/")[0] for name in known)]
            subject = pattern.rpartition("/")[2]
            same = [name for name in known if name.rpartition("/")[2] == subject != "*"]  # probes are first
            if subject == pattern and any(name.startswith(f"{pattern}/") for name in known):
                same = [f"{pattern}/*"]
            raise unknown_name("task", pattern, [*known, *same], other_names={pattern: same[0]} if same else {})
    listed = [t for t in tasks.values() if not patterns or any(_matches(t, pattern) for pattern in patterns)]
    return [*listed, *dict.fromkeys(of_groups)] if of_groups else listed


def _matches(task: Task, pattern: str) -> bool:
    head, _, subject = pattern.rpartition("/")
    if task.reads_answers and head != task.family.name:  # ``*/jpeg`` is about encoders, most of which give no answers
        return False
    of_family = task.by_family and head == task.name.rpartition("/")[0]
    named = not task.by_name or of_family or not re.search(r"[*?\[]", subject)
    return named and fnmatch.fnmatchcase(task.name, pattern)


def fitting_tasks(tasks: Sequence[Task], photos: PhotoSet, *, named: bool, answering: bool = False) -> list[Task]:
    """The tasks that can be run on these photos.

    Args:
        tasks: candidates.
        photos: the photo set.
        named: whether the user named the tasks. If not, real and generated photos, and photos with groups, acquisition
            labels or pairs are used only for tasks about these (with groups also for plain kNN): all other tasks would
            cost many times more. Tasks whose subject must be named are then left out too, unless the photos store their
            views.
        answering: whether a model answers questions: if tasks are not named, those about answers are added.

    Raises:
        DataError: no task can be run.
        UsageError: as ``with_groups``.
    """
    tasks = with_groups(tasks, photos)
    wanted = [task for task in tasks if named or not task.by_name or photos.stored_views]
    fitting = [task for task in wanted if not task.unfit(photos)]
    if answering and not named:
        about = [task for task in tasks if task.reads_answers and task.by_family and not task.unfit(photos)]
        return [*about, *(fitting_tasks(wanted, photos, named=False) if fitting else ())]
    if not fitting:
        reasons = "; ".join(f"{task.name}: {task.unfit(photos)}" for task in tasks[:3])
        raise DataError(f"{photos.name} cannot answer any of the tasks ({reasons})")
    if named:
        return fitting
    if detection := [task for task in fitting if task.about_detection]:
        return detection
    if any(task.about_group for task in fitting):
        return [t for t in fitting if t.about_group or t.about_acquisition or any(m.summary == "SP" for m in t.metrics)]
    acquisition = [task for task in fitting if task.about_acquisition]
    return acquisition if acquisition else fitting


def with_groups(tasks: Sequence[Task], photos: PhotoSet) -> list[Task]:
    """The tasks, with those of every group of the photos in the place of each task that stands for them.

    Raises:
        UsageError: the name of a group cannot be a part of a task's name, or is that of another task's subject.
    """
    for group in photos.groups:
        listed = tasks_with(processings_in_use())
        taken = next((f"{head}/{group}" for head in GROUP_TASKS if f"{head}/{group}" in listed), "")
        if taken or not GROUP_NAME.fullmatch(group):
            why = f"{taken} is another task" if taken else "it cannot be a part of a task's name"
            raise UsageError(f"{photos.name}: the group {group} needs another name, group=NAME=SOURCE: {why}")
    result: list[Task] = []
    for task in tasks:
        if task.for_group is None or not photos.groups:
            result.append(task)
        else:
            result += [group_task(task.name.partition("/")[0], group) for group in photos.groups]
    return list({task.name: task for task in result}.values())


@dataclass(frozen=True, eq=False)
class Trace:
    """A label of photos or views that embeddings may reveal."""

    task: Task
    """The probe that reads it."""
    views: tuple[str, ...]
    """Names of the views that show it."""
    classes: tuple[str, ...]
    labels: np.ndarray
    """int64 [V, photos], the class of each photo in each view; -1 if it is unknown."""
    column: str
    """Name of the photos' attribute or group; empty for a processing, which belongs to a view."""


def traces(photos: PhotoSet | None = None) -> Mapping[str, Task]:
    """Every trace by name, with the probe that reads it: processings, attributes, and the groups of a photo set.

    >>> list(traces())[:2]
    ['jpeg', 'sharpening']
    """
    listed = tasks_with(processings_in_use()).values()
    of_tasks = {subject_of(task.name): task for task in listed if any(m.summary == "MP" for m in task.metrics)}
    of_groups = {group: group_task("probe", group) for group in (photos.groups if photos is not None else ())}
    return {**of_groups, **of_tasks}


def trace_of(name: str, photos: PhotoSet, options: RunOptions) -> Trace:
    """A trace on these photos.

    Args:
        name: of the trace, a key of ``traces(photos)``.
        photos: the photo set.
        options: ``mask_ratio`` is read.

    Raises:
        UsageError: the trace does not exist.
        DataError: these photos cannot show it.
    """
    known = traces(photos)
    if name not in known:
        raise unknown_name("trace", name, known)
    task = known[name]
    if reason := task.unfit(photos):
        raise DataError(f"{photos.name} cannot show {name}: {reason}")
    if name in ALL_PARAMETERS:
        parameter = ALL_PARAMETERS[name]
        labels = np.repeat(np.arange(len(parameter.classes))[:, None], len(photos), axis=1)
        return Trace(task, tuple(parameter.processings), tuple(parameter.classes), labels, "")
    if task.about_group:
        group = photos.groups[name]
        return Trace(
            task, ("original",), group.names, np.where(group.values == UNLABELLED, -1, group.values)[None], name
        )
    column = attribute_labels(photos, name)
    assert column is not None
    spelling = name if name in photos.attributes else column_spelling(name)
    view = "masked" if options.mask_ratio else "whole"
    return Trace(task, (view,), column.names, np.where(column.values == UNLABELLED, -1, column.values)[None], spelling)
