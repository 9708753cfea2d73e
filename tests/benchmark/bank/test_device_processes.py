"""A process of another device loads its encoder again: it must be the one that the key of the bank has."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

from benchmark.bank.fill.device_process import check_same_encoder
from benchmark.bank.keys import encoder_key
from benchmark.encoders import Runtime
from builders.errors import EncoderError
from tests.support.scoring import as_rows, toy_encoder


def toy(name="a", **more):
    return toy_encoder(as_rows, lambda image: image, 4, name=name, **more)


def bank_of(encoder, name=None, blocks=()):
    key = encoder_key(
        encoder.info, encoder.dtype, compiled=encoder.compiled, device=encoder.device, runtime=encoder.runtime
    )
    return SimpleNamespace(encoder=name or encoder.info.id, key={"encoder": key}, blocks=blocks)


def test_check_same_encoder__as_the_banks_key_has_it():
    encoder = toy("loaded")
    same = check_same_encoder(encoder, bank_of(toy("of the bank")), "cuda:1")
    assert same == dataclasses.replace(encoder, info=dataclasses.replace(encoder.info, id="of the bank"))
    in_torch = toy("by torch")
    faster = dataclasses.replace(toy("fast"), runtime=Runtime("openvino", "1", 1e-7), in_torch=lambda: in_torch)
    assert check_same_encoder(faster, bank_of(toy("x")), "cpu").info.id == "x"  # the run has chosen torch
    assert check_same_encoder(faster, bank_of(toy("x")), "cpu").runtime is None
    assert check_same_encoder(faster, bank_of(faster), "cpu").runtime == faster.runtime
    other = dataclasses.replace(toy("x", dtype="bfloat16", weights="1" * 64), compiled=True)
    with pytest.raises(EncoderError) as refused:
        check_same_encoder(other, bank_of(toy("x")), "cuda:1")
    assert "weights_sha256" in str(refused.value)
