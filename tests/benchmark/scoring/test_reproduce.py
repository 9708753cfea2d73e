"""How to repeat one result: its own encoder and data, options that change scores, and never a path of its author."""

import dataclasses
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.cli.score import parser
from benchmark.encoders import EncoderInfo
from benchmark.options import DTYPES, OPTIONS, RunOptions, to_run_options
from benchmark.results import Result
from benchmark.scoring import Invocation, recorded, reproduce_command
from builders.data_specs import KINDS, parse_data_spec
from builders.photos import PhotoSet

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def info(spec: str = "timm:resnet50.a1_in1k", **changes: object) -> EncoderInfo:
    facts = {"library": "timm", "revision": None, "weights_sha256": "625ab1dc", "dimension": 8, "preprocessing": {}}
    return EncoderInfo(**{"id": spec, **facts, "pooling": "mean", "parameters": 1, **changes})


def photos(name: str = "sample", n: int = 3, **evidence: str) -> PhotoSet:
    made = PhotoSet.of_bytes(name, {f"{i}.jpg": b"" for i in range(n)})
    return dataclasses.replace(made, evidence=evidence)


def repeat(
    model: str | None = "control:pixels", data: str | None = "sample", encoder=None, of=None, options=None, **requested
):
    known = encoder or info(model or "in memory")
    return reproduce_command(Invocation(model, data, **requested), known, of or photos(), options or RunOptions())


def test_reproduce_command__defaults_do_not_appear():
    result = repeat()
    assert result.command == "camtrace score --model control:pixels --data sample"
    assert result.local == {}


def test_reproduce_command__every_option_that_changes_scores_and_no_other(tmp_path):
    options = RunOptions(
        limit=40, protocol="iccv2025", neighbours=5, queries=30, mask_ratio=0.5, seed=7, dtype="bfloat16",
        storage="float16", compile=True, force_dtype=True,
        device="cuda:1", batch_size=3, workers=5, views="cpu", fresh=True, cache=tmp_path,
    )  # fmt: skip
    result = repeat(options=options, tasks=("probe/*", "knn/jpeg"), trust_remote_code=True)
    assert result.command == (
        "camtrace score --model control:pixels --data sample --tasks 'probe/*' --tasks knn/jpeg --limit 40 "
        "--protocol iccv2025 --neighbours 5 --queries 30 --mask-ratio 0.5 --seed 7 --dtype bfloat16 --storage float16 "
        "--compile --force-dtype --trust-remote-code"
    )
    # and the command line reads them as they were
    args = parser().parse_args(shlex.split(result.command)[2:])
    again = to_run_options(args)
    for option in OPTIONS:
        if option.role.repeat:
            assert getattr(again, option.name) == getattr(options, option.name)
    assert (args.tasks, args.trust_remote_code) == (["probe/*", "knn/jpeg"], True)


def test_reproduce_command__states_every_option_that_affects_scores_but_the_device():
    affecting = {option.name for option in OPTIONS if option.role.affects_scores}
    assert affecting - {option.name for option in OPTIONS if option.role.repeat} == {"device"}


def test_reproduce_command__values_stand_in_the_order_of_the_help_page_then_lists_then_flags():
    options = RunOptions(
        seed=7, readers="linear,knn", limit=40, preset="iccv2025", ties="nearest", storage="float16", dtype="bfloat16",
        outputs=("layers", "layers[2]:mean"), allow_random=True, compile=True, force_dtype=True,
    )  # fmt: skip
    assert repeat(options=options).command == (
        "camtrace score --model control:pixels --data sample --limit 40 --preset iccv2025 --protocol converged "
        "--preprocess own --ties nearest --orientation upright --readers linear,knn --seed 7 --dtype bfloat16 "
        "--storage float16 --outputs layers --outputs 'layers[2]:mean' --compile --force-dtype --allow-random"
    )


def test_reproduce_command__what_only_python_can_set_is_stated():
    result = repeat(options=RunOptions(resamples=500))
    assert result.command == "camtrace score --model control:pixels --data sample"
    assert result.local == {"options": "set in Python, without an option of the command: resamples = 500"}


def test_reproduce_command__a_folder_is_named_as_what_it_is():
    of = photos("folder:pets", n=1200)
    result = repeat(data="folder:/home/me/my pets?val-share=0.5", of=of)
    assert shlex.split(result.command)[-2:] == ["--data", "folder:PATH?val-share=0.5"]
    assert result.local == {"data": f"PATH: your folder of 1,200 photos (folder:pets), ids hash {of.ids_hash()}"}


def test_reproduce_command__a_folder_that_load_dataset_reads_is_no_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org" / "pets").mkdir(parents=True)
    assert "--data hub:PATH" in repeat(data="hub:org/pets", of=photos("hub:pets")).command
    assert "--data paircams:PATH" in repeat(data="paircams:org/pairs", of=photos("paircams")).command
    # gone by now, but it was read as a folder
    assert "--data hub:PATH" in repeat(data="hub:org/gone", of=photos("hub:gone", revision="local")).command


@pytest.mark.parametrize("usage", [k.usage for k in KINDS.values()])
def test_reproduce_command__no_kind_of_data_shows_a_path(tmp_path, usage):
    kind = usage.partition(":")[0].partition("[")[0]
    if KINDS[kind].location == "none":
        assert repeat(data=kind).local == {}
        return
    place = tmp_path / "private" / "pets"
    place.mkdir(parents=True)
    result = repeat(data=f"{kind}:{place}", of=photos(f"{kind}:pets"))
    assert shlex.split(result.command)[-1] == f"{kind}:PATH"
    assert "your folder of 3 photos" in result.local["data"]
    assert "private" not in result.command + result.local["data"]


@pytest.mark.parametrize(
    ("data", "evidence", "shown"),
    [
        ("hub:org/pets?label=breed", {"revision": COMMIT}, f"hub:org/pets@{COMMIT}?label=breed"),
        ("hub:org/pets@main", {"revision": COMMIT}, f"hub:org/pets@{COMMIT}"),
        ("hub:org/pets@v1", {"revision": "v1 (commit unknown: the Hub did not answer)"}, "hub:org/pets@v1"),
        ("hub:cifar10", {}, "hub:cifar10"),
        ("flickrexif:hub:org/exif@v2?config=make", {}, "flickrexif:hub:org/exif@v2?config=make"),
        ("paircams:hub:org/pairs", {"revision": COMMIT}, f"paircams:hub:org/pairs@{COMMIT}"),
        ("built:org/jpeg", {}, "built:org/jpeg"),
        ("simcams?scenes=20&size=64", {}, "simcams?scenes=20&size=64"),
    ],
)
def test_reproduce_command__public_data_stand_with_their_commit(data, evidence, shown):
    result = repeat(data=data, of=photos(**evidence))
    assert shlex.split(result.command)[-1] == shown
    assert result.local == {}
    parse_data_spec(shown)


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ("table:/me/t.csv?image=p&root=/me/photos&label=re:/(a|b)/", "table:PATH?image=p&root=PATH&label=re:/(a|b)/"),
        ("wilds:fmow?root=/me/data", "wilds:fmow?root=PATH"),
        ("table:/t.csv?image=p&root=/me&group=a=x&group=b=y", "table:PATH?image=p&root=PATH&group=a=x&group=b=y"),
        ("table:/t.csv?image=p&root=/me&label=re:(a%26b)%20c", "table:PATH?image=p&root=PATH&label=re:(a%26b)%20c"),
        ("folder:/me/x?group=site=re:a+%26b&cluster=folder:2", "folder:PATH?group=site=re:a+%26b&cluster=folder:2"),
    ],
)
def test_reproduce_command__columns_stay_and_paths_do_not(data, shown):
    measured = repeat(data=data, of=photos())
    assert shlex.split(measured.command)[-1] == shown
    assert measured.local["data"].startswith("PATH: your folder of 3 photos")
    assert parse_data_spec(shown).columns == parse_data_spec(data).columns


def test_reproduce_command__photos_in_memory():
    result = repeat(data=None, of=photos("mine", n=1))
    assert shlex.split(result.command)[-1] == "folder:PATH"
    assert result.local["data"].startswith("PATH: your photos in memory, 1 photo (mine), ids hash ")


@pytest.mark.parametrize(
    ("model", "encoder", "shown", "note"),
    [
        ("timm:resnet50", info("timm:resnet50.a1_in1k"), "timm:resnet50", ""),
        ("org/net", info("org/net", revision=COMMIT), f"org/net@{COMMIT}", ""),
        ("hf-hub:org/net@main", info("org/net@main", revision=COMMIT), f"org/net@{COMMIT}", ""),
        ("checkpoint:dino", info("checkpoint:dino", library="checkpoint"), "checkpoint:dino", ""),
        (
            "mine:encode",
            info("mine:encode", library="callable"),
            "mine:encode",
            "mine:encode: your own Python code, SHA",
        ),
        ("mine:make", info("renamed"), "mine:make", "mine:make: your own Python code, SHA-256 625ab1dc"),
        (
            "callable:timm:make",
            info("callable:timm:make", weights_sha256=None),
            "callable:timm:make",
            "callable:timm:make: your own Python code",
        ),
        (
            "/home/me/secret/vit",
            info("local-dir:vit"),
            "local-dir:MODEL",
            "MODEL: your folder of a model (local-dir:vit), SHA-256 625ab1dc",
        ),
        ("secret/vit", info("local-dir:vit"), "local-dir:MODEL", "MODEL: your folder of a model (local-dir:vit), SHA"),
        ("local-dir:~/secret", info("odd"), "local-dir:MODEL", "MODEL: your folder of a model (timm), SHA"),
        (
            None,
            info("memory:Net", library="callable"),
            "MODULE:NAME",
            "MODULE:NAME: your object in memory (memory:Net)",
        ),
    ],
)
def test_reproduce_command__encoders(model, encoder, shown, note):
    result = repeat(model=model, encoder=encoder)
    assert shlex.split(result.command)[2:4] == ["--model", shown]
    assert result.local.get("model", "").startswith(note)
    assert ("model" in result.local) == bool(note)
    assert "secret" not in result.command + str(result.local)


PATHS = st.lists(st.text(alphabet="ab '\"$;@é", min_size=1, max_size=5), min_size=1, max_size=3).map(
    lambda parts: "/" + "/".join(["secret", *parts])
)


@given(PATHS, PATHS, st.sampled_from(["folder", "exif-folder", "imagenet", "hub", "simcams"]), st.sampled_from(DTYPES))
def test_reproduce_command__is_one_safe_line_without_a_path(model, data, kind, dtype):
    result = repeat(
        model=f"local-dir:{model}", data=f"{kind}:{data}", encoder=info("local-dir:x"), options=RunOptions(dtype=dtype),
        tasks=("probe/*; rm -r x",),
    )  # fmt: skip
    assert "secret" not in result.command
    words = shlex.split(result.command)
    assert words[:8] == [
        "camtrace", "score", "--model", "local-dir:MODEL", "--data", f"{kind}:PATH", "--tasks", "probe/*; rm -r x",
    ]  # fmt: skip


def test_recorded__replaces_only_the_command():
    one = Result({"id": "a"}, {"name": "b"}, {"device": "cpu"}, (), (), {}, "now")
    done = recorded(one, repeat(data="imagenet:x", of=photos("imagenet")))
    assert done.environment["device"] == "cpu"
    assert done.environment["command"] == "camtrace score --model control:pixels --data imagenet:PATH"
    assert list(done.environment["local"]) == ["data"]
    assert dataclasses.replace(done, environment=one.environment) == one
    assert Result.from_json(done.to_json()) == done
