"""Tiny random vision-language models of several families, with tokenizer, processor and chat template, made offline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import transformers as tf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tests.encoders_by_hand import vision_language_models as made
from tests.encoders_by_hand.case import randomise, siglip_processor

TEXT = [
    "Is there a cat in the picture? Answer yes or no. USER: yes no ASSISTANT: yes no user assistant model Yes No",
    "What is in the picture?\nA. cat\nB. dog\nC. cow\nD. horse\nAnswer with the letter. A B C D answer en Question:",
    "yes\nno\nA\nB\nC\nD\n",
] * 4
"""Text that the vocabularies are trained on; its answers become one token each."""

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<image>", "<video>", "<|im_start|>", "<|im_end|>")

TURNS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for c in m.content %}{% if c.type == 'image' %}IMAGE{% else %}{{ c.text }}{% endif %}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""A template whose answers begin after a line break."""

COLON = (
    "{% for m in messages %}{{ 'USER: ' if m.role == 'user' else 'ASSISTANT: ' }}{% for c in m.content %}"
    "{% if c.type == 'image' %}IMAGE\n{% else %}{{ c.text }}{% endif %}{% endfor %}"
    "{{ ' ' if m.role == 'user' else '</s>' }}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
"""A template whose answers begin after a colon and a space."""


def bpe(special: Sequence[str] = (), **options: Any) -> Any:
    """A byte-level tokenizer, as of Qwen and Llama 3: a space belongs to the word behind it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return _trained(tokenizer, special, options, initial_alphabet=alphabet)


def pieces(special: Sequence[str] = (), **options: Any) -> Any:
    """A tokenizer as SentencePiece has it, of Llama 2 and Gemma: the mark of a space begins the word."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=False))
    lines = pre_tokenizers.Split("\n", "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([lines, pre_tokenizers.Metaspace(prepend_scheme="never")])
    tokenizer.decoder = decoders.Metaspace()
    return _trained(tokenizer, special, options)


def _trained(tokenizer: Any, special: Sequence[str], options: dict[str, Any], **training: Any) -> Any:
    marks = [*SPECIAL, *special]
    trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=marks, show_progress=False, **training)
    tokenizer.train_from_iterator(TEXT, trainer)
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        **options,
    )


@dataclass(frozen=True)
class Family:
    """How the checkpoint of one family is made."""

    model: Callable[[], Any]
    processor: Callable[[str], Any]
    """Chat template -> processor."""
    template: str
    image: str = "<image>"
    """What the template writes for a picture."""
    ids: dict[str, str] = field(default_factory=lambda: {"image_token_id": "<image>"})
    """Settings of the configuration that are ids of tokens."""


def make_checkpoint(family: str, folder: Path) -> Path:
    """Write the checkpoint of a family; returns the folder."""
    how = FAMILIES[family]
    processor = how.processor(how.template.replace("IMAGE", how.image))
    tokenizer = processor.tokenizer
    model = how.model()
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    randomise(model)
    for name, token in how.ids.items():
        assert hasattr(model.config, name), (family, name)
        setattr(model.config, name, tokenizer.convert_tokens_to_ids(token))
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _llava(template: str) -> Any:
    return tf.LlavaProcessor(
        tf.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        pieces(),
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template,
    )


def _llava_next(template: str) -> Any:
    return tf.LlavaNextProcessor(
        tf.LlavaNextImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, **made.TILES),
        bpe(),
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template,
    )


def _llava_onevision(template: str) -> Any:
    return tf.LlavaOnevisionProcessor(
        tf.LlavaOnevisionImageProcessor(size={"height": 32, "width": 32}, **made.TILES),
        bpe(),
        tf.LlavaOnevisionVideoProcessor(size={"height": 32, "width": 32}),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=template,
    )


QWEN = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")


def _qwen(kind: str, family: str) -> Callable[[str], Any]:
    def processor(template: str) -> Any:
        video = tf.Qwen3VLVideoProcessor if family == "Qwen3VL" else tf.Qwen2VLVideoProcessor
        return getattr(tf, f"{family}Processor")(
            made.qwen_processor(), bpe(QWEN), video(patch_size=8), chat_template=template
        )

    return processor


QWEN_IDS = {
    "image_token_id": "<|image_pad|>",
    "video_token_id": "<|video_pad|>",
    "vision_start_token_id": "<|vision_start|>",
    "vision_end_token_id": "<|vision_end|>",
}


def _internvl(template: str) -> Any:
    marks = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"}
    tokenizer = bpe(tuple(marks.values()), extra_special_tokens={**marks, "video_token": "<video>"})
    return tf.InternVLProcessor(
        tf.GotOcr2ImageProcessor(size={"height": 32, "width": 32}, crop_to_patches=True, max_patches=4),
        tokenizer,
        tf.InternVLVideoProcessor(size={"height": 32, "width": 32}),
        image_seq_length=4,
        chat_template=template,
    )


def _paligemma(template: str) -> Any:
    image = siglip_processor()
    image.image_seq_length = 16
    return tf.PaliGemmaProcessor(image, pieces())


IDEFICS = ("<fake_token_around_image>", "<global-img>", "<end_of_utterance>")


def _idefics3(template: str) -> Any:
    return tf.Idefics3Processor(made.idefics3_processor(), bpe(IDEFICS), image_seq_len=4, chat_template=template)


def _smolvlm(template: str) -> Any:
    return tf.SmolVLMProcessor(
        made.smolvlm_processor(),
        bpe(IDEFICS),
        tf.SmolVLMVideoProcessor(size={"longest_edge": 64}, max_image_size={"longest_edge": 32}),
        image_seq_len=4,
        chat_template=template,
    )


def _gemma3(template: str) -> Any:
    marks = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    return tf.Gemma3Processor(
        tf.Gemma3ImageProcessor(size={"height": 32, "width": 32}),
        pieces(tuple(marks.values()), extra_special_tokens=marks),
        image_seq_length=4,
        chat_template="{{ bos_token }}" + template,
    )


FAMILIES: dict[str, Family] = {
    "llava": Family(made.llava, _llava, COLON),
    "llava_next": Family(made.llava_next, _llava_next, TURNS),
    "llava_onevision": Family(made.llava_onevision, _llava_onevision, TURNS),
    "qwen2_vl": Family(
        made.qwen2_vl, _qwen("2", "Qwen2VL"), TURNS, "<|vision_start|><|image_pad|><|vision_end|>", QWEN_IDS
    ),
    "qwen2_5_vl": Family(
        made.qwen2_5_vl, _qwen("2", "Qwen2_5_VL"), TURNS, "<|vision_start|><|image_pad|><|vision_end|>", QWEN_IDS
    ),
    "qwen3_vl": Family(
        made.qwen3_vl, _qwen("3", "Qwen3VL"), TURNS, "<|vision_start|><|image_pad|><|vision_end|>", QWEN_IDS
    ),
    "internvl": Family(made.internvl, _internvl, TURNS, "<IMG_CONTEXT>\n", {"image_token_id": "<IMG_CONTEXT>"}),
    "paligemma": Family(made.paligemma, _paligemma, ""),
    "idefics3": Family(made.idefics3, _idefics3, COLON),
    "smolvlm": Family(made.smolvlm, _smolvlm, COLON),
    "gemma3": Family(made.gemma3, _gemma3, TURNS, "<start_of_image>", {"image_token_id": "<image_soft_token>"}),
}
"""By ``model_type``."""
