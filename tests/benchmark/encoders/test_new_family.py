"""A new family of transformers models is one entry; here one for which the general lines give another vector."""

import json

import pytest

from tests.support.source_copy import SourceCopy

ENTRY = """\
    "vit": TransformersFamily(
        Embedding(lambda model, pixels: model(pixel_values=pixels).last_hidden_state[:, -1], "the last patch"),
    ),
"""

SCORE = """
import json, sys
import numpy as np
import torch
import transformers as tf
from PIL import Image
from benchmark.encoders import load_encoder

torch.manual_seed(0)
config = tf.ViTConfig(hidden_size=32, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4, image_size=32,
                      patch_size=8)
model = tf.ViTModel(config).eval()
model.save_pretrained("vit")
processor = tf.ViTImageProcessor(size={"height": 32, "width": 32})
processor.save_pretrained("vit")
processor = tf.AutoImageProcessor.from_pretrained("vit", backend="pil")
encoder = load_encoder("local-dir:vit", device="cpu")
photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8))
embedding = encoder.embed(torch.from_numpy(encoder.preprocess(photo))[None])[0]
with torch.inference_mode():
    hidden = model(processor(photo, return_tensors="pt")["pixel_values"]).last_hidden_state[0]
print(json.dumps({"pooling": encoder.info.pooling, "last": float((embedding - hidden[-1]).abs().max()),
                  "first": float((embedding - hidden[0]).abs().max())}))
"""


@pytest.mark.slow
def test_new_family__is_one_entry(tmp_path):
    copy = SourceCopy(tmp_path / "copy")
    copy.insert("benchmark/encoders/loaders/transformers/embeddings.py", '    "vit_mae": TransformersFamily(', ENTRY)
    output = json.loads(copy.run(SCORE).splitlines()[-1])
    assert output["pooling"] == "the last patch"
    assert output["last"] < 1e-5
    assert output["first"] > 0.1
