"""Checkpoint files and folders as trainers write them: reading, the network they belong to, and the encoder."""
