"""Products keep their bits whatever a user's own code has set, by torch's old way or its new one."""

import pytest
import torch

from benchmark.compute import float32_rounding

BACKENDS = torch.backends
NEWER = [(BACKENDS.cuda.matmul, "matmul")] + [(getattr(BACKENDS.cudnn, n), n) for n in ("conv", "rnn")]


def settings():
    """All that torch lets one read; reading the old way is refused where the two disagree."""
    result = [owner.fp32_precision for owner, _ in NEWER] + [BACKENDS.fp32_precision, BACKENDS.cudnn.fp32_precision]
    products = BACKENDS.cuda.matmul
    return [*result, products.allow_bf16_reduced_precision_reduction, products.allow_fp16_reduced_precision_reduction]


@pytest.fixture(params=["as it comes", "everything tf32", "high", "medium", "convolutions", "products"])
def user(request):
    """What a user's module may have set."""
    if not hasattr(BACKENDS.cuda.matmul, "fp32_precision"):
        pytest.skip("torch has the old settings alone")
    if request.param == "everything tf32":
        BACKENDS.fp32_precision = "tf32"
    elif request.param in ("high", "medium"):
        torch.set_float32_matmul_precision(request.param)
    elif request.param == "convolutions":
        BACKENDS.cudnn.conv.fp32_precision = "ieee"
    elif request.param == "products":
        BACKENDS.cuda.matmul.fp32_precision = "tf32"
    yield request.param
    BACKENDS.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")
    BACKENDS.cuda.matmul.fp32_precision = "none"
    BACKENDS.cudnn.allow_tf32 = True
    BACKENDS.cudnn.conv.fp32_precision = BACKENDS.cudnn.rnn.fp32_precision = "tf32"


@pytest.mark.parametrize("requested", [False, True])
def test_float32_rounding__whatever_was_set(user, requested):
    before = settings()
    with float32_rounding(requested):
        inside = [owner.fp32_precision for owner, _ in NEWER]
        old = (BACKENDS.cuda.matmul.allow_tf32, BACKENDS.cudnn.allow_tf32)
        sums = settings()[-2:]
    assert inside == ["tf32" if requested else "ieee"] * 3
    assert old == (
        requested,
        requested,
    )  # the old way can be read, so that neither torch nor a library stumbles over it
    assert sums == [False, False]
    assert settings() == before
