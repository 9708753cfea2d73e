"""Vision-language models that answer questions: logits as the library's own call gives them, tokens, refusals."""

import io
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import torch
import transformers
from packaging.version import Version
from PIL import Image
from safetensors.torch import load_file, save_file

from benchmark.encoders import Prompt, load_encoder
from benchmark.encoders.loaders.hub import Checkpoint
from benchmark.encoders.loaders.transformers.answering import VisionLanguageModel
from benchmark.encoders.network import probe_image
from benchmark.encoders.placement import Placement
from builders.errors import EncoderError, UsageError
from tests.support.vision_language import COLON, FAMILIES, TURNS

TOLERANCE = 1e-5
"""Largest difference of logits in float32, relative to the largest logit, where only rounding differs."""

YES_NO = Prompt("Is there a cat in the picture? Answer yes or no.", ("yes", "no"))
LETTERS = Prompt("What is in the picture?\nA. cat\nB. dog\nC. cow\nD. horse\nAnswer with the letter.", tuple("ABCD"))

SPACES = {"llava": "\u2581", "idefics3": "\u0120", "smolvlm": "\u0120"}
"""What begins the token of an answer behind ``ASSISTANT:``: the space of SentencePiece, or of byte-level tokens."""


def model_of(folder: Path, dtype: str = "float32") -> VisionLanguageModel:
    return VisionLanguageModel(Checkpoint("vlm:tiny", folder, None), Placement("cpu", dtype), False)


def pictures(count: int = 4) -> list[Image.Image]:
    return [probe_image(*size) for size in ((80, 60), (50, 90), (64, 64), (33, 41))][:count]


def by_hand(folder: Path, family: str, picture: Image.Image, prompt: Prompt) -> np.ndarray:
    """The library's own call on one picture, and the tokens of the words by their texts."""
    processor = transformers.AutoProcessor.from_pretrained(folder)
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder)
    if family == "paligemma":
        inputs = processor(text=f"<image>answer en {prompt.text}", images=picture, return_tensors="pt")
    else:
        content = [{"type": "image", "image": picture}, {"type": "text", "text": prompt.text}]
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
    with torch.no_grad():
        logits = model.eval()(**inputs).logits[0, -1]
    tokens = [processor.tokenizer.convert_tokens_to_ids(SPACES.get(family, "") + word) for word in prompt.words]
    assert processor.tokenizer.unk_token_id not in tokens
    return logits[tokens].numpy()


def as_png(picture: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return Image.open(buffer).convert("RGB")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of PaliGemma's processor
@pytest.mark.parametrize("family", list(FAMILIES)[::3])
def test_logits__equal_the_librarys_call__one_or_many__and_png(vision_language_model, family):
    if family == "smolvlm" and Version(transformers.__version__) < Version("5.21"):
        pytest.skip("its own call takes the size of patches for the tokens of a picture")
    folder = vision_language_model(family)
    model, four = model_of(folder), pictures()
    pairs = [(picture, prompt) for picture in four for prompt in (YES_NO, LETTERS)]
    single = [model.logits(model.prepare([picture], [prompt]))[0] for picture, prompt in pairs]
    together = model.logits(model.prepare([p for p, _ in pairs], [prompt for _, prompt in pairs]))
    saved = model.logits(model.prepare([as_png(p) for p, _ in pairs], [prompt for _, prompt in pairs]))
    largest = max(np.abs(row).max() for row in single)
    assert [len(row) for row in together] == [2, 4] * 4
    for one, among, png in zip(single, together, saved, strict=True):
        np.testing.assert_allclose(among, one, rtol=0, atol=TOLERANCE * largest)
        np.testing.assert_array_equal(png, among)
    for at in (0, 3):
        expected = by_hand(folder, family, *pairs[at])
        np.testing.assert_allclose(single[at], expected, rtol=0, atol=TOLERANCE * largest)
    assert np.ptp([row[0] for row in single[::2]]) > 1000 * TOLERANCE * largest  # pictures decide


def test_prepare__in_many_threads(vision_language_model):
    """A tokenizer holds the state of a call: each thread has its own."""
    model = model_of(vision_language_model("llava_next"))
    pairs = [([picture] * n, ([YES_NO, LETTERS] * n)[:n]) for picture in pictures() for n in (1, 2, 3)] * 3
    alone = [model.prepare(*one).inputs["input_ids"] for one in pairs]
    together = Barrier(3)

    def processor(_: int) -> object:
        together.wait()
        return model._processor

    with ThreadPoolExecutor(3) as pool:
        threads = list(pool.map(lambda one: model.prepare(*one).inputs["input_ids"], pairs))
        processors = list(pool.map(processor, range(3)))
    assert all(torch.equal(a, b) for a, b in zip(alone, threads, strict=True))
    assert len({id(one.tokenizer) for one in processors}) == 3


def test_in_dtype(vision_language_model):
    model = model_of(vision_language_model("llava"))
    lower = model.in_dtype("bfloat16")
    full, rounded = (m.logits(m.prepare(pictures(), [YES_NO] * 4)) for m in (model, lower))
    difference = np.abs(np.array(full) - np.array(rounded)).max() / np.abs(full).max()
    assert TOLERANCE < difference < 0.05
    assert (model.dtype, lower.dtype) == ("float32", "bfloat16")


def test_load__the_encoder_is_the_vision_tower(vision_language_model, tmp_path):
    folder = vision_language_model("llava")
    tower = load_encoder(str(folder), device="cpu")
    encoder = load_encoder(f"vlm:{folder}", device="cpu")
    views = torch.from_numpy(np.stack([encoder.preprocess(picture) for picture in pictures()]))
    assert torch.equal(encoder.embed(views), tower.embed(views))
    assert encoder.info.id == f"vlm:llava@{encoder.info.weights_sha256[:8]}"
    assert (
        encoder.answers.answerer.identity["weights_sha256"] == encoder.info.weights_sha256 != tower.info.weights_sha256
    )
    assert encoder.info.details["answering"]["pictures"].startswith("CLIPImageProcessor")

    def identity_with(change) -> dict:
        shutil.copytree(folder, tmp_path / "other", dirs_exist_ok=True)
        change(tmp_path / "other")
        return dict(model_of(tmp_path / "other").identity)

    def other_weights(copy: Path) -> None:
        tensors = load_file(copy / "model.safetensors")
        tensors["language_model.lm_head.weight"] *= 1.01
        save_file(tensors, copy / "model.safetensors", {"format": "pt"})

    same = identity_with(lambda copy: None)
    other_template = identity_with(lambda copy: (copy / "chat_template.jinja").write_text(f"{COLON} "))
    assert other_template["processor"] != same["processor"]
    assert identity_with(other_weights)["weights_sha256"] != same["weights_sha256"]


def changed(folder: Path, copy: Path, **config) -> Path:
    """A copy of a checkpoint with another configuration."""
    shutil.copytree(folder, copy)
    file = copy / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **config}))
    return copy


def test_refusals(vision_language_model, tmp_path):
    folder = vision_language_model("qwen2_vl")
    (tmp_path / "empty").mkdir()
    no_template = changed(folder, tmp_path / "a")
    (no_template / "chat_template.jinja").unlink()
    bad_template = changed(folder, tmp_path / "b")
    (bad_template / "chat_template.jinja").write_text("{{ messages[5].role }}")
    clip = changed(folder, tmp_path / "c", model_type="clip")
    pickled = changed(folder, tmp_path / "d")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    lacking = changed(folder, tmp_path / "e")
    tensors = load_file(lacking / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, lacking / "model.safetensors", {"format": "pt"})
    cases = {
        f"vlm:{tmp_path}/nothing": "there is no such folder",
        f"vlm:{tmp_path}/empty": "cannot answer questions: transformers has no model of this kind",
        f"vlm:{no_template}": "vlm:a (qwen2_vl) cannot answer questions: it has no chat template",
        f"vlm:{bad_template}": "vlm:b cannot answer questions: its chat template fails",
        f"vlm:{clip}": "vlm:c (clip) cannot answer questions: transformers has no model of this kind",
        f"vlm:{pickled}": "vlm:d: its weights are no safetensors files",
    }
    for spec, sentence in cases.items():
        with pytest.raises((UsageError, EncoderError)) as refused:
            load_encoder(spec, device="cpu")
        assert sentence in str(refused.value)
        assert str(tmp_path) not in str(refused.value).replace(f"{tmp_path}/nothing", "")
        assert "\n" not in str(refused.value)
    with pytest.raises(UsageError, match="--compile"):
        load_encoder(f"vlm:{folder}", device="cpu", compile=True)
    with pytest.raises(UsageError, match="vlm:qwen2_vl"):
        load_encoder(f"vlm:{folder}", device="cpu", revision="main")
    with pytest.raises(EncoderError, match="lm_head"):
        model_of(lacking).check([YES_NO])


def test_words_that_are_no_single_token(vision_language_model):
    model = model_of(vision_language_model("llava"))
    with pytest.raises(UsageError, match="'Zebra'"):
        model.check([Prompt("What is it?", ("yes", "Zebra"))])
    with pytest.raises(UsageError, match="cannot"):
        model_of(vision_language_model("gemma3")).check([Prompt("What is it?", ("ä", "ö"))])


THINKING = TURNS.replace("{{ m.role }}\n", "{{ m.role }}\n{% if m.role == 'assistant' %}<s></s>\n{% endif %}")
TRAILING = COLON.replace("%}ASSISTANT:{%", "%}ASSISTANT: {%")
TEXT_ALONE = TURNS.replace(
    "{% if m.content is string %}", "{% if m.role == 'assistant' %}{{ m.content + '' }}{% elif 0 %}"
)


@pytest.mark.parametrize(
    ("template", "end", "token"),
    [
        (TURNS, "<|im_start|>assistant\n", "yes"),
        (COLON, "ASSISTANT:", "\u0120yes"),
        (TRAILING, "ASSISTANT:", "\u0120yes"),
        (THINKING, "<|im_start|>assistant\n<s></s>\n", "yes"),
        (TEXT_ALONE, "<|im_start|>assistant\n", "yes"),
    ],
)
def test_template__where_an_answer_begins(vision_language_model, tmp_path, template, end, token):
    folder = changed(vision_language_model("llava_next"), tmp_path / "other")
    (folder / "chat_template.jinja").write_text(template.replace("IMAGE", "<image>"))
    prepared = model_of(folder).prepare(pictures(1), [YES_NO])
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert tokenizer.decode(prepared.inputs["input_ids"][0]).endswith(end)
    assert tokenizer.convert_ids_to_tokens(prepared.tokens[0][0]) == token
