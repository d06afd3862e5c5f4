"""``nescio lens`` as a person uses it, and as a person misuses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf

import nescio
from nescio.cli.main import run
from nescio.lens import layer_entropies
from tests.models.tiny import VOCABULARY, tiny_tokenizer

TEXT = "To be, or not to be; that is the question."


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny random network, saved as people save them."""
    directory = tmp_path_factory.mktemp("lens") / "tiny"
    torch.manual_seed(5)
    config = hf.GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=32,
        n_layer=3,
        n_head=4,
        n_positions=96,
        initializer_range=0.3,
        bos_token_id=VOCABULARY - 2,
        eos_token_id=VOCABULARY - 1,
    )
    hf.GPT2LMHeadModel(config).save_pretrained(directory)
    tiny_tokenizer().save_pretrained(directory)
    return f"hf:{directory}"


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """What the command prints with --json: exactly one object."""
    assert run(["lens", *arguments, "--json"]) == 0
    out, _ = capsys.readouterr()
    assert out.count("\n") == 1
    return json.loads(out, parse_constant=pytest.fail)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a person reads: one line on standard error, exit code 2."""
    assert run(["lens", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_the_json_holds_the_numbers_of_every_layer(
    capsys: pytest.CaptureFixture[str], model: str
) -> None:
    found = as_json(capsys, TEXT, "-m", model, "--unit", "nats")
    expected = layer_entropies(nescio.load(model, engine="transformers"), TEXT)
    assert found["counts"] == {
        "tokens": len(TEXT),
        "scored_tokens": len(TEXT),
        "layers": 4,
    }
    for column, item in enumerate(found["items"]):
        np.testing.assert_allclose(
            item["entropy_nats"], expected.entropy[:, column], rtol=1e-4, atol=1e-4
        )
        assert item["kl_to_last_nats"][-1] == 0.0
        assert item["settled"] == expected.settled[column]
        assert len(item["top_texts"]) == len(item["top_ids"]) == 4
    assert "".join(item["text"] for item in found["items"]) == TEXT
    assert set(found["estimates"]) == {
        "commitment_layer",
        "commitment_depth",
        "entropy_rate",
    }
    rows = found["groups"]["layers"]["layer_entropy"]
    assert [row["recipe"]["settings"]["layer"] for row in rows] == [0, 1, 2, 3]
    assert rows[-1]["value"] == pytest.approx(expected.entropy[-1].mean(), rel=1e-4)
    assert found["lens"]["architecture"] == "GPT2LMHeadModel"
    assert found["lens"]["before_head"] == ["transformer.ln_f"]


def test_bits_are_nats_over_log_two(
    capsys: pytest.CaptureFixture[str], model: str
) -> None:
    nats = as_json(capsys, TEXT, "-m", model, "--unit", "nats")
    bits = as_json(capsys, TEXT, "-m", model)
    for name in ("entropy", "kl_to_last", "surprisal"):
        one, other = nats["items"][3][f"{name}_nats"], bits["items"][3][f"{name}_bits"]
        np.testing.assert_allclose(np.array(one) / np.log(2), other, rtol=1e-6)
    rate = bits["estimates"]["entropy_rate"]
    assert rate["unit"] == "bits/token"
    assert bits["estimates"]["commitment_layer"]["unit"] == "layers"


def test_people_see_bars_above_their_text(
    capsys: pytest.CaptureFixture[str], model: str
) -> None:
    assert run(["lens", TEXT, "-m", model]) == 0
    out, _ = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].startswith("      3 ")
    assert lines[4] == f"        {TEXT}"
    assert lines[5].startswith("settles ")
    assert any(bar in out for bar in "▁▂▃▄▅▆▇█")
    assert "entropy by layer" in out
    assert "commitment_layer" in out


def test_an_answer_is_read_while_it_is_drawn(
    capsys: pytest.CaptureFixture[str], model: str
) -> None:
    arguments = ("--generate", "To be", "--max-tokens", "9", "--seed", "3", "-m", model)
    found = as_json(capsys, *arguments)
    drawn = nescio.generate(
        nescio.load(model, engine="transformers"),
        "To be",
        decoding=nescio.Decoding(9),
        seed=3,
    )
    spelled = b"".join(bytes.fromhex(item["bytes"]) for item in found["items"])
    assert spelled == drawn.buffer[len("To be") :]
    assert found["stop"] == drawn.stop
    assert found["origin"]["seed"] == 3


def test_a_file_is_read_and_a_page_is_written(
    capsys: pytest.CaptureFixture[str], model: str, tmp_path: Path
) -> None:
    text, page = tmp_path / "text.txt", tmp_path / "lens.html"
    text.write_text(TEXT, "utf-8")
    assert run(["lens", "--file", str(text), "-m", model, "--html", str(page)]) == 0
    _, err = capsys.readouterr()
    assert "written: " in err
    assert page.read_text("utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["a", "-m", "table:coin"], "a table does not have"),
        (["a", "-m", "http://127.0.0.1:9/v1#x"], "a server does not show"),
        (["a", "--generate", "b"], "give one of TEXT"),
        (["a", "--max-tokens", "3"], "go with --generate only"),
        (["--generate", "a", "--window", "9"], "go with TEXT only"),
        (["", "-m", "smollm2"], "the text is empty"),
        (["a", "-m", "nobody"], "nobody"),
    ],
)
def test_mistakes_are_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], why: str
) -> None:
    assert why in refused(capsys, *arguments)


def test_an_architecture_without_a_lens_is_refused_by_name(
    capsys: pytest.CaptureFixture[str], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = hf.GPT2LMHeadModel.forward

    def scaled(self: Any, *given: Any, **named: Any) -> Any:
        output = own(self, *given, **named)
        if not named.get("use_cache"):
            output.logits = output.logits.clone()
            output.logits[..., 3] += 0.001
        return output

    monkeypatch.setattr(hf.GPT2LMHeadModel, "forward", scaled)
    err = refused(capsys, TEXT, "-m", model)
    assert "GPT2LMHeadModel has no layer lens here" in err
