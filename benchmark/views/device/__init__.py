"""The processings and the encoders' preprocessing as batched torch operations: Pillow's pixels, on a GPU.

Only integers and float64 values that are exact are used, so the pixels do not depend on the device or the batch.
"""

from benchmark.views.device.views import possible, torch_views

__all__ = ["possible", "torch_views"]
