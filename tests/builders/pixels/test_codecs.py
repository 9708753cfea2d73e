"""File formats: what is registered, what is missing, and the versions that canaries and records hold."""

import importlib.metadata
import re
import sys
from types import SimpleNamespace

import pytest
from PIL import Image, features
from PIL import __version__ as pillow_version

from builders.errors import PhotoError, UsageError
from builders.pixels import (
    BUILT_IN,
    STUDY_PARAMETERS,
    STUDY_PROCESSINGS,
    EditStep,
    Processing,
    codec_canary,
    codec_versions,
    codecs,
    process_by_pillow,
    processed_file,
    read_definitions,
    reference,
    register_format,
    request,
)
from builders.pixels.codecs import format_versions, registered
from builders.pixels.definitions import use
from builders.pixels.processing import Fit, drawn_number, is_range, unit_hash


def test_format_versions__of_each_format_once():
    pytest.importorskip("pillow_jxl")
    import pillow_heif

    versions = format_versions(["WEBP", "PNG", "JPEG", "AVIF", "HEIF", "JXL", "PNG", "GIF"])
    info = pillow_heif.libheif_info()
    assert versions == {
        "avif": features.version("avif"),
        "gif": "absent",
        "heif": ", ".join([info["libheif"], *sorted(info["encoders"].values())]),
        "libjpeg_turbo": features.version("libjpeg_turbo"),
        "jxl": importlib.metadata.version("pillow-jxl-plugin"),
        "zlib": features.version("zlib"),
        "webp": features.version("webp"),
    }
    assert format_versions([]) == {}


def test_format_versions__absent_libraries(monkeypatch):
    monkeypatch.setattr(features, "version", lambda name: None)
    absent = {"libjpeg_turbo": "absent", "zlib": "absent", "webp": "absent"}
    assert format_versions(["JPEG", "PNG", "WEBP"]) == absent
    versions = codec_versions()
    assert versions == {"pillow": pillow_version, "libjpeg_turbo": "absent", "jpeg": "absent"}


def test_codec_versions__of_this_machine_and_of_other_formats_in_use(monkeypatch):
    assert codec_versions() == {
        "pillow": pillow_version,
        "libjpeg_turbo": features.version("libjpeg_turbo"),
        "jpeg": features.version("jpg"),
    }
    chain = Processing("chain", file_format="JPEG", before=(Processing("", file_format="PNG"),))
    monkeypatch.setattr(reference, "PROCESSINGS", {"a": Processing("a", file_format="WEBP"), "chain": chain})
    assert set(codec_versions()) == {"pillow", "libjpeg_turbo", "jpeg", "webp", "zlib"}


@pytest.mark.parametrize("file_format", ["WEBP", "AVIF"])
def test_register_format__of_a_pillow_without_it(file_format, monkeypatch):
    message = f"this Pillow ({pillow_version}) cannot write {file_format}: install Pillow's own wheel"
    monkeypatch.setattr(features, "check", lambda name: name != file_format.lower())
    for register, error in ((register_format, UsageError), (registered, PhotoError)):
        with pytest.raises(error) as caught:
            register(file_format)
        assert str(caught.value) == message
        for other in ("WEBP", "AVIF", "JPEG", "PNG", "GIF"):
            if other != file_format:
                register(other)


@pytest.mark.parametrize(("file_format", "package"), [("HEIF", "pillow_heif"), ("JXL", "pillow_jxl")])
def test_register_format__of_a_package_that_is_not_installed(file_format, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    codecs._register_plugin.cache_clear()
    with pytest.raises(UsageError, match=re.escape(str(file_format))):
        register_format(file_format)
    with pytest.raises(PhotoError, match="needs the package"):
        processed_file(Image.new("RGB", (8, 8)), Processing("a", file_format=file_format), "a")
    monkeypatch.undo()
    codecs._register_plugin.cache_clear()
    if package == "pillow_heif":
        register_format(file_format)


CASES = [
    (Processing("a"), "JPEG of quality 95, 4:4:4"),
    (Processing("a", 70, "4:2:0", sharpness=2.5), "sharpened by 2.5; JPEG of quality 70, 4:2:0"),
    (Processing("a", scale=0.5), "both sides times 0.5 (bilinear, antialiased); JPEG of quality 95, 4:4:4"),
    (
        Processing("a", scale=None, resample=Image.Resampling.BOX),
        "both sides times a random factor (box, antialiased); JPEG of quality 95, 4:4:4",
    ),
    (
        Processing("a", random=(("quality", (60, 90)), ("scale", (0.5, 2.0)), ("sharpness", (1.0, 3.0)))),
        "sharpened by 1 to 3, random; both sides times 0.5 to 2, random (bilinear, antialiased); "
        "JPEG of quality 60 to 90, random, 4:4:4",
    ),
    (
        Processing("a", fit=Fit(640, None), file_format="WEBP"),
        "resized to 640 wide (fit) (bilinear, antialiased); WEBP of quality 95",
    ),
    (
        Processing("a", fit=Fit(9, 8, "cover", True), file_format="PNG"),
        "resized to 9 wide and 8 high (cover, may enlarge) (bilinear, antialiased); PNG",
    ),
    (
        Processing("a", options=(("progressive", True), ("qtables", ((1,) * 64,)))),
        "JPEG of quality 95, 4:4:4, progressive=True, qtables=given",
    ),
    (
        Processing("a", edits=(EditStep("crop", (("share", (0.5, 0.75)), ("width", None))),), before=(Processing(""),)),
        "JPEG of quality 95, 4:4:4; crop share 0.5 to 0.75, random; JPEG of quality 95, 4:4:4",
    ),
]


@pytest.mark.parametrize(("processing", "text"), CASES)
def test_processing__in_words(processing, text):
    assert str(processing) == text


STAGE = Processing("", 80)
PROPERTIES = ("is_plain_jpeg", "resizes", "is_one_stage", "is_random")


@pytest.mark.parametrize(
    ("processing", "true"),
    [
        (Processing("a"), "is_plain_jpeg is_one_stage"),
        (Processing("a", scale=2), "is_plain_jpeg resizes is_one_stage"),
        (Processing("a", scale=None), "is_plain_jpeg resizes is_one_stage is_random"),
        (Processing("a", sharpness=2), "is_plain_jpeg is_one_stage"),
        (Processing("a", fit=Fit(3, 3)), "is_plain_jpeg resizes"),
        (Processing("a", random=(("scale", (1, 2)),)), "is_plain_jpeg resizes is_random"),
        (Processing("a", random=(("quality", (1, 2)),)), "is_plain_jpeg is_random"),
        (Processing("a", edits=(EditStep("greyscale"),)), "is_plain_jpeg"),
        (Processing("a", edits=(EditStep("blur", (("radius", (1.0, 2.0)),)),)), "is_plain_jpeg is_random"),
        (Processing("a", before=(STAGE,)), "is_plain_jpeg"),
        (Processing("a", before=(Processing("", scale=None),)), "is_plain_jpeg is_random"),
        (Processing("a", options=(("progressive", True), ("optimize", True))), "is_plain_jpeg is_one_stage"),
        (Processing("a", options=(("qtables", ((1,) * 64,)),)), "is_one_stage"),
        (Processing("a", file_format="PNG"), "is_one_stage"),
    ],
)
def test_processing__properties(processing, true):
    assert [name for name in PROPERTIES if getattr(processing, name)] == true.split()


def test_processing__key_leaves_out_later_fields_at_their_defaults():
    first = ["name", "quality", "subsampling", "sharpness", "scale", "resample", "file_format", "options"]
    assert list(Processing("a").key()) == first
    edits = (EditStep("greyscale"),)
    whole = Processing("a", random=(("quality", (1, 2)),), fit=Fit(3, 4), edits=edits, before=(STAGE,))
    key = whole.key()
    assert list(key) == [*first, "random", "fit", "edits", "before"]
    assert key["before"] == [STAGE.key()]
    assert (key["edits"], tuple(key["fit"])) == (({"kind": "greyscale", "values": ()},), (3, 4, "fit", False))
    assert "fit" not in Processing("a", edits=edits).key()


def test_processing__formats_suffixes_and_saving():
    chain = Processing("a", file_format="WEBP", before=(Processing("", file_format="PNG"), STAGE))
    assert chain.formats == {"WEBP", "PNG", "JPEG"}
    suffixes = {kind: Processing("a", file_format=kind).suffix for kind in ("JPEG", "HEIF", "WEBP", "JXL")}
    assert suffixes == {"JPEG": ".jpg", "HEIF": ".heic", "WEBP": ".webp", "JXL": ".jxl"}
    options = (("lossless", True),)
    assert Processing("a", 7, file_format="WEBP", options=options).saving == {
        "format": "WEBP", "quality": 7, "lossless": True,
    }  # fmt: skip
    assert Processing("a", 7).saving == {"format": "JPEG", "quality": 7, "subsampling": "4:4:4"}


def test_drawn__each_number_by_its_place_in_the_chain():
    """Of the hash of purpose, seed and photo: whole numbers with both ends, others without the upper one."""
    stage = Processing("", random=(("quality", (60, 90)),), edits=(EditStep("blur", (("radius", (1.0, 3.0)),)),))
    last = Processing("a", scale=None, before=(stage, stage), random=(("quality", (60, 90)),),
                      edits=(EditStep("orient", (("exif", 6),)), EditStep("crop", (("share", (0.5, 1)),))))  # fmt: skip

    def unit(where):
        return unit_hash(f"range/{where}", "photo", 4)

    drawn = last.drawn("photo", 4)
    assert [s.quality for s in (*drawn.before, drawn)] == [60 + int(unit(f"{i}/quality") * 31) for i in range(3)]
    assert [s.edits[0].values[0][1] for s in drawn.before] == [1 + 2 * unit(f"{i}/0/radius") for i in range(2)]
    assert dict(drawn.edits[0].values) == {"exif": 6}
    assert dict(drawn.edits[1].values) == {"share": 0.5 + 0.5 * unit("2/1/share")}
    assert drawn.scale == 0.8 + (1.2 - 0.8) * unit_hash("scale", "photo", 4)
    assert not drawn.is_random
    assert drawn.drawn("other", 5) is drawn
    numbers = {drawn_number((1, 3), "a", str(i), 0) for i in range(99)}
    assert numbers == {1, 2, 3}
    assert all(1 <= drawn_number((1, 3.0), "a", str(i), 0) < 3 for i in range(99))
    ranges = [(1, 2), (1.0, 2), (1,), (1, 2, 3), [1, 2], ((1,) * 64, (2,) * 64), 5, None]
    assert [is_range(value) for value in ranges] == [True, True, False, False, False, False, False, False]


def test_request__sizes_numbers_and_whether_engines_may_take_it():
    def of(**fields):
        return request(Processing("a", **fields), (31, 20), "photo", 3)

    assert of() == (95, "4:4:4", 1.0, (31, 20), int(Image.Resampling.BILINEAR), True)
    assert of(scale=0.5, quality=70, subsampling="4:2:0") == (70, "4:2:0", 1.0, (15, 10), 2, True)
    assert of(fit=Fit(16, None), resample=Image.Resampling.BOX) == (95, "4:4:4", 1.0, (16, 10), 4, True)
    assert of(fit=Fit(99, None)).size == (31, 20)
    scale = 0.8 + 0.4 * unit_hash("scale", "photo", 3)
    assert of(scale=None).size == (int(31 * scale), int(20 * scale))
    assert of(sharpness=2.0).sharpness == 2
    assert not of(file_format="PNG").baseline_jpeg


def test_codec_canary__of_names_of_other_processings_and_of_crops_that_leave_nothing(monkeypatch):
    study = codec_canary()
    assert codec_canary(STUDY_PROCESSINGS) == study
    assert codec_canary([Processing("jpeg-q75-420", 75, "4:2:0")]) == study
    other = Processing("other", 60)
    both = codec_canary(["jpeg-q75-420", other])
    assert both == codec_canary([other])
    assert both.partition("-")[0] == study
    assert len(both) == 2 * 16 + 1
    changes = [
        Processing("another", 60),
        Processing("other", 61),
        Processing("other", 60, file_format="WEBP"),
        Processing("other", 60, edits=(EditStep("crop", (("left", 99),)),)),
        Processing("other", 60, edits=(EditStep("crop", (("left", 98),)),), file_format="PNG"),
    ]
    assert len({codec_canary([p]) for p in (other, *changes)}) == 6
    # the versions of codecs count as soon as there are edits, stages or other formats
    pairs = [(p, reference._hash_of.__wrapped__((p,))) for p in (other, changes[2], changes[3])]
    chain = Processing("chain", before=(STAGE,))
    pairs.append((chain, reference._hash_of.__wrapped__((chain,))))
    monkeypatch.setattr(reference, "format_versions", lambda formats: {"of": sorted(formats)})
    assert [reference._hash_of.__wrapped__((p,)) == before for p, before in pairs] == [True, False, False, False]


def test_process_by_pillow__sharpens_before_it_resizes_and_edits_before_both():
    picture = Image.effect_noise((24, 18), 60).convert("RGB")
    both = Processing("a", sharpness=4, scale=0.5, file_format="PNG", edits=(EditStep("orient", (("exif", 6),)),))
    from PIL import ImageEnhance

    expected = ImageEnhance.Sharpness(picture.transpose(Image.Transpose.ROTATE_270)).enhance(4)
    expected = expected.resize((9, 12), Image.Resampling.BILINEAR)
    assert process_by_pillow(picture, both, "a").tobytes() == expected.tobytes()
    seeds = {process_by_pillow(picture, Processing("a", scale=None), "a", seed).size for seed in range(9)}
    assert len(seeds) > 1


def test_use__parameters_of_results_are_known_and_change_nothing(monkeypatch):
    monkeypatch.setattr(use, "_known", {})
    web = read_definitions("web")
    before = dict(use.known_parameters())
    use.remember_parameters("")
    use.remember_parameters("{no text")
    assert dict(use.known_parameters()) == before == {}
    use.remember_parameters(web.text)
    assert dict(use.known_parameters()) == dict(web.parameters)
    assert use.processings_in_use() == ""
    name = next(iter(web.parameters))
    first = use.known_parameters()[name]
    monkeypatch.setitem(use._known, name, first)
    monkeypatch.setattr(use, "read_definitions", lambda text: SimpleNamespace(parameters={name: None, "new": first}))
    use.remember_parameters("x")  # a parameter that is known stays
    assert use.known_parameters()[name] is first
    assert use.known_parameters()["new"] is first


def test_use__queried_processings_and_the_study():
    assert use.queried_processings() == STUDY_PROCESSINGS
    use.use_processings("web")
    try:
        assert use.queried_processings() == tuple(read_definitions("web").processings)
        assert use.processings_in_use() == "web"
        assert set(read_definitions("web").parameters) <= set(use.known_parameters())
    finally:
        use.use_processings("")
    assert use.chosen_processings("") == ""
    assert use.chosen_processings("web") == "web"
    study = read_definitions("study")
    assert use.restates_study(study)
    assert list(study.parameters.values()) == [BUILT_IN[name] for name in STUDY_PARAMETERS]
    fewer = SimpleNamespace(parameters=dict(list(study.parameters.items())[:3]), processings=study.processings)
    assert not use.restates_study(fewer)
    turned = SimpleNamespace(parameters=study.parameters, processings=dict(reversed(study.processings.items())))
    assert not use.restates_study(turned)
