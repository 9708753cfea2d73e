"""What a CUDA machine does: ``python -m scripts.checks.gpu``."""
