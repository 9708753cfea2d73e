"""Named layouts of real and generated photos: label, generator and split of every picture, or a refusal."""

import json

import pytest

from benchmark.tasks.forensics.data import unfit_for_detection
from builders.data_specs import open_photos
from builders.errors import DataError
from builders.photos import CLUSTER, SPLITS
from tests.support.layouts import picture, write_layout

ORIGINS = {"ai", "nature", "0_real", "1_fake"}

LAYOUTS = {
    "GenImage": ("genimage", ("{BigGAN,SDv14}/imagenet_ai/{train,val}/{ai,nature}/{0..2}.png",)),
    "GenImage as published": (
        "genimage",
        (
            "stable_diffusion_v_1_4/imagenet_ai_0419_sdv4/{train,val}/{ai,nature}/{0..2}.png",
            "ADM/imagenet_ai_0508_adm/{train,val}/{ai,nature}/{0..2}.png",
        ),
    ),
    "GenImage without the inner folder": ("genimage", ("{BigGAN,SDv14}/{train,val}/{ai,nature}/{0..2}.png",)),
    "GenImage, one generator's folder": ("genimage", ("imagenet_ai_0419_sdv4/{train,val}/{ai,nature}/{0..2}.png",)),
    "GenImage, classes below": ("genimage", ("{BigGAN,SDv14}/{train,val}/{ai,nature}/{n01,n02}/{0..2}.png",)),
    "GenImage, one split": ("genimage", ("{BigGAN,SDv14}/{ai,nature}/{0..4}.png",)),
    "GenImage, splits first": ("genimage", ("{train,val}/{BigGAN,SDv14}/{ai,nature}/{0..2}.png",)),
    "ForenSynths test": (
        "univfd",
        ("{progan,stylegan}/{cat,horse}/{0_real,1_fake}/{0..2}.png", "{biggan,gaugan}/{0_real,1_fake}/{0..2}.png"),
    ),
    "ForenSynths train": ("univfd", ("{train,val}/{progan,stylegan}/{cat,horse}/{0_real,1_fake}/{0..2}.png",)),
    "UnivFD diffusion": ("univfd", ("{laion,imagenet}/0_real/{0..4}.png", "{ldm_200,glide_50_27}/1_fake/{0..4}.png")),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layout__gives_label_generator_and_split(name, tmp_path):
    kind, patterns = LAYOUTS[name]
    write_layout(tmp_path / "set", *patterns)
    photos = open_photos(f"{kind}:{tmp_path / 'set'}")
    parts = [photo_id.split("/")[:-1] for photo_id in photos.ids]
    labels = [photos.labels.names[value] for value in photos.labels.values]
    assert labels == [next(p for p in path if p in ORIGINS) for path in parts]
    generators = [photos.groups["generator"].names[value] for value in photos.groups["generator"].values]
    assert generators == [path[1] if path[0] in SPLITS else path[0] for path in parts]
    if any(p in SPLITS for path in parts for p in path):
        assert [SPLITS[s] for s in photos.splits] == [next(p for p in path if p in SPLITS) for path in parts]
    else:
        assert photos.evidence["splits"].startswith("seeded split of each class")
    assert photos.name == f"{kind}:set"
    assert unfit_for_detection(photos) == ""


@pytest.mark.parametrize(
    ("kind", "pattern", "sentence"),
    [
        ("genimage", "{train,val}/{ai,nature}/{0..2}.png", "no folder names a generator"),
        ("univfd", "{0_real,1_fake}/{0..4}.png", "no folder names a generator"),
        ("univfd", "{cat,dog}/{0..4}.png", "no folder 0_real or 1_fake with photos in it"),
        ("genimage", "biggan/{0_real,1_fake}/{0..4}.png", "its folders 0_real and 1_fake may be meant"),
    ],
)
def test_other_folders__are_refused_with_what_is_missing(kind, pattern, sentence, tmp_path):
    write_layout(tmp_path / "set", pattern)
    with pytest.raises(DataError, match=sentence) as refusal:
        open_photos(f"{kind}:{tmp_path / 'set'}")
    assert "\n" not in str(refusal.value)


def test_given_columns__replace_the_usual_ones(tmp_path):
    write_layout(tmp_path / "set", "{BigGAN,SDv14}/{a,b}/{train,val}/{ai,nature}/{0..2}.png")
    photos = open_photos(f"genimage:{tmp_path / 'set'}?group=generator=folder:2&source=folder:1")
    assert set(photos.groups["generator"].names) == {"a", "b"}
    assert set(photos.columns["source"]) == {"BigGAN", "SDv14"}


def test_openfake__has_label_model_and_prompt(tmp_path):
    rows = []
    for i in range(16):
        (tmp_path / "set" / "train").mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / "train" / f"{i}.png").write_bytes(picture(i))
        made = i % 2 == 1
        rows.append(
            {
                "file_name": f"{i}.png",
                "label": "fake" if made else "real",
                "model": f"flux-{i % 3}" if made else "real",
                "prompt": f"a cat {i // 4}",
            }
        )
    (tmp_path / "set" / "train" / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    photos = open_photos(f"openfake:{tmp_path / 'set'}")
    table = {
        photo_id.rpartition("/")[2]: (
            photos.labels.names[photos.labels.values[i]],
            photos.groups["generator"].names[photos.groups["generator"].values[i]],
            str(photos.columns[CLUSTER][i]),
        )
        for i, photo_id in enumerate(photos.ids)
    }
    assert len(table) == 16
    wanted = sorted((row["label"], row["model"], row["prompt"]) for row in rows)
    assert sorted(table.values()) == wanted
