"""Paths that are taken seldom, each by a direct call."""

import pytest
import torch

from benchmark.views.device import views as device_views


def test_device_views__what_no_device_makes_and_sizes_without_a_plan(monkeypatch):
    monkeypatch.setattr(device_views, "makes", lambda processing: processing.subsampling != "4:2:0")
    photos = torch.zeros((1, 8, 8, 3), dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"^no device makes jpeg-q75-420$"):
        device_views.torch_views(photos, ["a"], ["original", "jpeg-q75-444", "jpeg-q75-420"], [])
    assert not device_views.possible(8, 8, "a", ["original", "jpeg-q75-444", "jpeg-q75-420"], [])
    with pytest.raises(ValueError, match=r"^no plan for pictures of 8 x 9$"):
        device_views._planned(lambda width, height: None, (8, 9))
