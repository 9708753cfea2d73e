"""The pass that fills banks with embeddings."""
