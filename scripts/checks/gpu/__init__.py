"""What a CUDA machine does: ``python scripts/checks/gpu``."""
