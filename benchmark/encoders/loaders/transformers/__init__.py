"""Checkpoints of transformers: models, their inputs, and their embeddings."""
