"""Named layouts of real and generated photos: label, generator and split of every picture, or a refusal."""

import csv
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
    "GenImage with a test": ("genimage", ("{BigGAN,SDv14}/{train,val,test}/{ai,nature}/{0..2}.png",)),
    "GenImage, names with spaces": ("genimage", ("{SD 1.4,VQ-Diffusion}/{train,val}/{ai,nature}/{0..2}.png",)),
    "CNNDetection, one class": ("univfd", ("{cyclegan,stargan}/person/{0_real,1_fake}/{0..4}.png",)),
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


TABLES = {
    "Fake or JPEG": (
        "image=path&label=re:^(nature|ai)/&group=generator=generator&split=mode",
        ("path", "mode", "generator", "class", "width", "height", "compression_rate"),
        lambda i, made: (f"{'ai' if made else 'nature'}/{i}.png", ("train", "val")[i // 2 % 2],
                         ("SDv14", "ADM")[i // 4 % 2] if made else "nature", i % 3, 8, 8, 0 if made else 96),
        ("nature", "ai", "generator", "mode"),
    ),
    "Synthbuster": (
        "image=path&label=kind&group=generator=generator",
        ("path", "kind", "generator"),
        lambda i, made: (f"{'dalle3' if made else 'RAISE-1k'}/{i}.png", "generated" if made else "real",
                         ("dalle3", "glide")[i // 2 % 2] if made else "RAISE-1k"),
        ("real", "generated", "generator", ""),
    ),
    "Community Forensics": (
        "image=path&label=label&group=generator=model_name&source=real_source&split=split",
        ("path", "label", "model_name", "real_source", "split"),
        lambda i, made: (f"{i}.png", "fake" if made else "real", f"model {i // 2 % 3}" if made else "",
                         "" if made else ("LAION", "ImageNet")[i // 2 % 2], ("train", "val")[i // 4 % 2]),
        ("real", "fake", "model_name", "split"),
    ),
    "SynthCLIC": (
        "image=path&label=label&group=generator=generator&cluster=source_image",
        ("path", "label", "generator", "source_image"),
        lambda i, made: (f"{i}.png", "synthetic" if made else "real", f"generator {i // 2 % 2}" if made else "",
                         f"picture {i // 2}"),
        ("real", "synthetic", "generator", ""),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_table_line__gives_label_generator_and_split(name, tmp_path):
    options, columns, row_of, (real, fake, generator, split) = TABLES[name]
    rows = [row_of(i, i % 2 == 1) for i in range(24)]
    for i, row in enumerate(rows):
        (tmp_path / row[0]).parent.mkdir(exist_ok=True)
        (tmp_path / row[0]).write_bytes(picture(i))
    with open(tmp_path / "T.csv", "w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    photos = open_photos(f"table:{tmp_path}/T.csv?{options}")
    by_path = {row[0]: dict(zip(columns, row, strict=True)) for row in rows}
    assert set(photos.ids) == set(by_path)
    for i, photo_id in enumerate(photos.ids):
        made = rows.index(tuple(by_path[photo_id].values())) % 2 == 1
        assert photos.labels.names[photos.labels.values[i]] == (fake if made else real)
        if made:
            group = photos.groups["generator"]
            assert group.names[group.values[i]] == by_path[photo_id][generator]
        if split:
            assert SPLITS[photos.splits[i]] == by_path[photo_id][split]
    if "cluster=" in options:
        assert list(photos.columns[CLUSTER]) == [by_path[photo_id]["source_image"] for photo_id in photos.ids]
    assert unfit_for_detection(photos) == ""


@pytest.mark.parametrize(
    ("kind", "pattern", "sentence"),
    [
        ("genimage", "{train,val}/{ai,nature}/{0..2}.png", "generator"),
        ("univfd", "{0_real,1_fake}/{0..4}.png", "generator"),
        ("univfd", "{cat,dog}/{0..4}.png", "0_real"),
        ("genimage", "biggan/{0_real,1_fake}/{0..4}.png", "0_real"),
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
