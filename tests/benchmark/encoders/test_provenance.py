"""How encoders were trained: statements of the data file, the ids of 2024-26, and lists of installed libraries."""

from __future__ import annotations

import pytest
import timm
import torch
from timm.models import get_pretrained_cfg

from benchmark.__main__ import main
from benchmark.cli.sweep import parser
from benchmark.encoders import MODERN, STUDY, InstalledLists, installed_lists, list_encoders
from benchmark.encoders.encoder import GROUPS
from benchmark.encoders.provenance import families, family_of, group_and_data, statement
from benchmark.leaderboard.entries import GROUP_LABELS
from benchmark.scoring import chosen_specs

KNOWN = {
    "facebook/dinov2-base": ("SSL", "LVD-142M"),
    "facebook/dinov2-small-imagenet1k-1-layer@main": ("SSL", "LVD-142M"),
    "hf-hub:facebook/dinov3-vitb16-pretrain-lvd1689m": ("SSL", "LVD-1689M"),
    "facebook/dinov3-vitl16-pretrain-sat493m": ("SSL", "SAT-493M"),
    "facebook/vit-mae-base": ("SSL", "ImageNet-1k"),
    "facebook/vit-msn-small": ("SSL", "ImageNet-1k"),
    "facebook/ijepa_vith14_22k": ("SSL", "ImageNet-22k"),
    "timm/vit_huge_patch14_gap_224.in1k_ijepa": ("SSL", "ImageNet-1k"),
    "microsoft/beit-base-patch16-224-pt22k": ("SSL", "ImageNet-22k"),
    "microsoft/beit-base-patch16-224-pt22k-ft22k": ("SUP", "ImageNet-22k, pretrained without labels, fine-tuned with"),
    "facebook/data2vec-vision-base": ("SSL", "ImageNet-1k"),
    "facebook/hiera-tiny-224-in1k-hf": ("SUP", "ImageNet-1k, pretrained without labels, fine-tuned with"),
    "facebook/convnextv2-tiny-22k-384": ("SUP", "ImageNet-22k, pretrained without labels, fine-tuned with"),
    "facebook/regnet-y-320-seer": ("SSL", "pictures of Instagram"),
    "facebook/regnet-y-040": ("SUP", "ImageNet-1k"),
    "google/vit-base-patch16-224": ("SUP", "ImageNet-21k, fine-tuned on 1k"),
    "google/vit-base-patch16-224-in21k": ("SUP", "ImageNet-21k"),
    "microsoft/resnet-50": ("SUP", "ImageNet-1k"),
    "microsoft/swinv2-tiny-patch4-window8-256": ("SUP", "ImageNet-1k"),
    "google/siglip2-so400m-patch14-384": ("CVL", "WebLI"),
    "google/siglip-base-patch16-224": ("CVL", "WebLI"),
    "facebook/metaclip-b32-400m": ("CVL", "MetaCLIP-400M"),
    "facebook/metaclip-2-worldwide-b16?output=projected": (
        "CVL",
        "worldwide image-text pairs of Common Crawl, curated",
    ),
    "openai/clip-vit-base-patch32": ("CVL", "WIT-400M"),
    "open_clip:ViT-L-14/datacomp_xl_s13b_b90k": ("CVL", "DataComp-1B"),
    "open_clip:MobileCLIP2-S0/dfndr2b": ("distilled", "DFNDR-2B"),
    "timm:vit_base_mci_224.apple_mclip2_dfndr2b": ("distilled", "DFNDR-2B"),
    "nvidia/C-RADIOv3-B": (
        "distilled",
        "pictures without labels (teachers of the CLIP, DINO and SAM families)",
    ),
    "wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M": ("distilled", "YFCC-15M"),
    "timm/vit_small_patch16_dinov3_qkvb.eupe_lvd1689m": ("distilled", "LVD-1689M"),
    "apple/aimv2-large-patch14-224": ("autoregressive", "DFN-2B, COYO and Apple's own pairs"),
    "apple/aimv2-large-patch14-224-distilled": (
        "distilled",
        "DFN-2B, COYO and Apple's own pairs (from AIMv2-3B)",
    ),
    "openai/imagegpt-small": ("autoregressive", "ImageNet-21k"),
    "timm/resnet50.a1_in1k": ("SUP", "ImageNet-1k"),
    "timm/vit_base_patch16_224.augreg_in21k": ("SUP", "ImageNet-21k (augreg_in21k)"),
    "timm/vit_base_patch16_clip_224.openai_ft_in1k": ("SUP", "ImageNet at last (openai_ft_in1k)"),
    "timm/davit_base.msft_in1k": ("SUP", "ImageNet-1k"),
    "timm/eva02_base_patch14_224.mim_in22k": ("SSL", "CLIP's features of masked pictures (mim_in22k)"),
    "torchvision:resnet50/IMAGENET1K_V2": ("SUP", "ImageNet-1k"),
    "torchvision:vit_h_14/IMAGENET1K_SWAG_E2E_V1": (
        "SUP",
        "hashtags of 3.6B pictures of Instagram, then ImageNet-1k",
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_group_and_data__of_an_id(name):
    assert tuple(group_and_data(name)) == KNOWN[name]


@pytest.mark.parametrize(
    "name",
    ["local-dir:dinov2-base@1a2b3c4d", "somebody/dinov2-base-finetuned-food", "facebook/dinov2", "mine:encode", ""],
)
def test_group_and_data__a_name_alone_is_no_evidence(name):
    assert family_of(name) is None
    assert tuple(group_and_data(name)) == ("unknown", "unknown")
    assert tuple(group_and_data(name, contrastive=True)) == ("CVL", "unknown")
    assert statement(name) == {}


def test_families__every_entry_is_a_statement_with_a_source():
    for family in families():
        assert family.group in GROUPS, family.family
        assert family.group in GROUP_LABELS, family.family
        assert family.training_data, family.family
        assert family.source, family.family
        assert family.year is None or 2010 < family.year < 2030, family.family
    names = [family.family for family in families()]
    assert len(set(names)) == len(names) > 80


def test_families__agree_with_the_study_on_its_groups():
    known = {row.spec: family.group for row in STUDY if (family := family_of(row.spec))}
    assert len(known) > 40
    assert {spec: group for spec, group in known.items() if group_and_data(spec).group != group} == {}


def test_families__most_of_what_timm_has_is_known():
    names = timm.list_pretrained()
    known = [name for name in names if family_of(f"timm/{name}")]
    assert len(known) > 0.9 * len(names)


def test_modern__group_size_and_name_are_those_of_the_library():
    assert len({row.spec for row in MODERN}) == len(MODERN) == 25
    assert {row.group for row in MODERN} == {"SSL", "CVL", "autoregressive", "distilled"}
    assert not [row.spec for row in MODERN if row.training_data == "unknown"]
    lists = installed_lists()
    for row in MODERN:
        if row.library == "timm":
            assert lists.confirming(row.spec) == "timm.list_pretrained()", row.spec
            assert row.input_px == get_pretrained_cfg(row.spec.removeprefix("timm/")).input_size[-1], row.spec
        else:
            assert lists.confirming(row.spec) == "no installed list", row.spec


@pytest.mark.parametrize(
    "spec",
    [
        "timm/vit_base_mci_224.apple_mclip2_dfndr2b",
        "timm/resnet101.a1h_in1k",
    ],
)
def test_parameters__are_those_that_timm_builds(spec):
    [row] = [row for row in list_encoders() if row.spec == spec]
    with torch.device("meta"):
        model = timm.create_model(spec.removeprefix("timm/"), num_classes=0)
    assert row.parameters == sum(p.numel() for p in model.parameters())


def test_confirming__names_without_a_list_and_missing_libraries():
    lists = InstalledLists(frozenset({"a.b"}), {"ViT/x": "ViT/x", "org/vit": "ViT/x"})
    assert lists.confirming("timm/a.b") == lists.confirming("timm:a.b") == "timm.list_pretrained()"
    assert lists.confirming("timm/a.c") == "no: timm.list_pretrained() does not know it"
    assert lists.confirming("open_clip:ViT/x") == "open_clip.list_pretrained()"
    assert lists.confirming("org/vit") == "open_clip.list_pretrained(), as ViT/x"
    assert lists.confirming("org/other") == "no installed list"
    assert lists.confirming("control:random-projection") == "camtrace"
    assert InstalledLists(None, {}).confirming("timm/a.b") == "not searched: timm is not installed"
    assert InstalledLists(None, {}).confirming("org/x") == "no installed list; timm is not installed"


def test_list_encoders__prints_what_is_known_of_each(capsys):
    assert main(["list", "encoders"]) == 0
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    table = {row[0]: row[1:] for row in rows if len(row) == 8}
    assert table["timm/aimv2_huge_patch14_224.apple_pt"] == [
        "timm", "autoregressive", "DFN-2B, COYO and Apple's own pairs", "224", "680.9 M", "timm.list_pretrained()", "-",
    ]  # fmt: skip
    assert table["facebook/dinov2-base"][1:6] == ["SSL", "LVD-142M", "224", "86.6 M", "no installed list"]
    published = "laion/CLIP-ViT-B-16-laion2B-s34B-b88K"
    assert table[published][5] == "open_clip.list_pretrained(), as ViT-B-16/laion2b_s34b_b88k"
    assert table["control:jpeg-statistics"][4] == "none"
    assert {row.spec for row in list_encoders()} <= set(table)


def test_sweep__modern_is_those_encoders():
    specs = chosen_specs(parser().parse_args(["--modern", "--model", "mine:encode", "--model", "facebook/dinov2-base"]))
    assert specs == [
        "mine:encode",
        "facebook/dinov2-base",
        *(r.spec for r in MODERN if r.spec != "facebook/dinov2-base"),
    ]
    both = chosen_specs(parser().parse_args(["--modern", "--published"]))
    assert len(both) == 47 + 25


def test_statement__names_the_source_and_the_year():
    assert statement("facebook/dino-vits16") == {"training_source": "Ramos et al., ICCV 2025", "year": 2021}
    assert statement("checkpoint:mocov3-resnet50") == {"training_source": "Ramos et al., ICCV 2025"}
    assert statement("timm/resnet50d.a1_in1k") == {"training_source": "tag in timm's registry"}
