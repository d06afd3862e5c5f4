"""Bits per byte beside an independent computation in plain transformers, float32."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from nescio.models import catalogue
from tests.results import write_result

TEXTS = Path(__file__).resolve().parents[1] / "texts"
STARTS = {"smollm2": "<|endoftext|>", "gemma3-270m": "<bos>"}
FOUND: dict[str, Any] = {}


def plain_bits_per_byte(name: str, text: str) -> float:
    """One forward pass, log-softmax in float64, nothing of nescio's but the weights."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    directory = catalogue.installed_directory(name)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    start = tokenizer.convert_tokens_to_ids(STARTS[name])
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logits = model(torch.tensor([[start, *ids]])).logits[0, :-1].double()
    logp = torch.log_softmax(logits, dim=-1)[torch.arange(len(ids)), torch.tensor(ids)]
    return float(-logp.sum()) / math.log(2) / len(text.encode("utf-8"))


@pytest.mark.verify
@pytest.mark.parametrize("file", ["bank.txt", "cat.txt"])
@pytest.mark.parametrize("name", list(STARTS))
def test_the_command_agrees_with_plain_transformers(name: str, file: str) -> None:
    path = TEXTS / file
    command = [sys.executable, "-m", "nescio", "trace", "--file", str(path)]
    run = subprocess.run(
        [*command, "--model", name, "--json"], capture_output=True, check=True
    )
    estimate = json.loads(run.stdout)["estimates"]["bits_per_byte"]
    assert estimate["unit"] == "bits/byte"
    plain = plain_bits_per_byte(name, path.read_text(encoding="utf-8"))
    FOUND[f"{name}, {file}"] = {
        "nescio": estimate["value"],
        "low": estimate["low"],
        "high": estimate["high"],
        "transformers": plain,
        "difference": estimate["value"] - plain,
    }
    assert abs(estimate["value"] - plain) < 1e-3
    write_result("bits_per_byte", FOUND, precision="f32", starts=STARTS)
