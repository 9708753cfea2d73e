"""Checkpoints of transformers: models, towers, inputs and embeddings."""
