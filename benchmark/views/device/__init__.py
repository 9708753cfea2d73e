"""Processings and preprocessing as batched torch operations that give exactly Pillow's pixels, on a GPU.

They use only integers and float64 values that are exact, so the pixels depend neither on the device nor on the batch.
"""

from benchmark.views.device.views import possible, torch_views

__all__ = ["possible", "torch_views"]
