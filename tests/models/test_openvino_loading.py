"""Exports that are kept: made once, tested first, whole or not at all, never stale."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nescio
from nescio.errors import CapabilityError, InvalidInput, MissingDependency, UnknownModel
from nescio.models import openvino_cache, openvino_graph, openvino_loading
from nescio.models.openvino_runtime import openvino
from tests.models.test_hugging_face import change_config, saved
from tests.models.tiny import VOCABULARY, computes_bf16

TEXT = "Hello, wörld and all who sail in her."
SAID: list[str] = []
"""What the last load reported."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model's directory, and a cache with its export."""
    directory = saved(tmp_path_factory.mktemp("model"))
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NESCIO_CACHE", str(cache))
        load(directory)
    return directory, cache


@pytest.fixture
def directory(
    kept: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The same model, beside a copy of that cache which is now the cache."""
    shutil.copytree(kept[1], tmp_path / "cache")
    monkeypatch.setenv("NESCIO_CACHE", str(tmp_path / "cache"))
    yield kept[0]
    left = list((tmp_path / "cache").rglob("*partial*"))
    assert left == [], "something half made was left"


def load(directory: Path, options: str = "", engine: str | None = "openvino") -> Any:
    SAID.clear()
    return nescio.load(
        f"hf:{directory}{options}",
        engine=engine,
        report=lambda stage, _share: SAID.append(stage),
    )


def exported_anew() -> bool:
    return any("exporting" in stage for stage in SAID)


def export() -> Path:
    (place,) = openvino_cache.kept()
    return place


def no_export(*_: object) -> None:
    raise AssertionError("exported again")


def test_the_default_engine_is_openvino_and_gives_the_numbers_of_torch(
    directory: Path,
) -> None:
    fast = load(directory, engine=None)
    slow = load(directory, engine="transformers")
    assert fast.origin.engine.startswith("openvino ")
    assert slow.origin.engine.startswith("transformers ")
    assert fast.origin.model_digest == slow.origin.model_digest
    assert fast.origin.tokenizer_digest == slow.origin.tokenizer_digest
    assert (fast.start, fast.vocabulary.end) == (slow.start, slow.vocabulary.end)
    assert fast.context_length == slow.context_length == 96
    one, other = nescio.score(fast, TEXT), nescio.score(slow, TEXT)
    np.testing.assert_allclose(one.logp, other.logp, rtol=0, atol=1e-4)


def test_a_kept_export_is_read_and_not_made_again(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_loading, "exported", no_export)
    load(directory)
    assert not exported_anew()
    if computes_bf16():
        assert load(directory, ",precision=bf16").origin.precision == "bf16"
    assert load(directory, ",start=</s>").start == (VOCABULARY - 1,)


@pytest.mark.local_model
def test_a_kept_export_of_the_catalogue_is_read_without_torch() -> None:
    code = (
        "import sys, nescio; nescio.load('smollm2', engine='openvino'); "
        "sys.exit('torch' in sys.modules)"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    if subprocess.run(command, check=False).returncode == 1:  # it had to be made first
        subprocess.run(command, check=True)


@pytest.mark.parametrize(("file", "place"), [("graph.bin", -1), ("graph.xml", 5000)])
def test_one_damaged_byte_is_seen_and_the_export_made_again(
    directory: Path, file: str, place: int
) -> None:
    expected = nescio.score(load(directory), TEXT).logp
    path = export() / file
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    model = load(directory)
    assert exported_anew()
    np.testing.assert_array_equal(nescio.score(model, TEXT).logp, expected)
    load(directory)
    assert not exported_anew()


@pytest.mark.parametrize("content", ["{", '{"schema": 1, "files": {}}'])
def test_a_damaged_description_is_seen_and_the_export_made_again(
    directory: Path, content: str
) -> None:
    (export() / "export.json").write_text(content)
    load(directory)
    assert exported_anew()


def test_what_an_export_depends_on_makes_another(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(directory, copied)
    load(copied)
    assert not exported_anew()  # the same weights elsewhere
    change_config(copied, rms_norm_eps=1e-4)
    load(copied)
    assert exported_anew()
    assert len(openvino_cache.kept()) == 2
    places = [openvino_cache.place_of("weights"), openvino_cache.place_of("others")]
    monkeypatch.setattr(openvino_cache, "EXPORTER", 99)
    places.append(openvino_cache.place_of("weights"))
    monkeypatch.setattr(openvino_cache, "version", lambda name: f"{name} 99")
    places.append(openvino_cache.place_of("weights"))
    assert len(set(places)) == 4


def test_the_end_tokens_are_those_of_the_generation_config(
    directory: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(directory, copied)
    path = copied / "generation_config.json"
    fields = json.loads(path.read_text()) | {"eos_token_id": [VOCABULARY - 1, 10]}
    path.write_text(json.dumps(fields))
    assert load(copied).vocabulary.end == (10, VOCABULARY - 1)
    assert load(copied).vocabulary.end == (10, VOCABULARY - 1)


def test_where_nothing_can_be_kept_the_model_is_loaded_all_the_same(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("in the way")
    monkeypatch.setenv("NESCIO_CACHE", str(blocked))
    model = load(directory)
    assert model.origin.engine.startswith("openvino ")
    assert any("not kept" in stage or "not be kept" in stage for stage in SAID)


@pytest.mark.parametrize("error", [OSError(28, "No space left"), RuntimeError("write")])
def test_a_full_disk_keeps_nothing_and_loads_all_the_same(
    directory: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(_model: Any, place: Path) -> None:
        (place / openvino_graph.WEIGHTS).write_bytes(b"half")
        raise error

    shutil.rmtree(export())
    monkeypatch.setattr(openvino_loading, "write_graph", fails)
    assert load(directory).origin.engine.startswith("openvino ")
    assert openvino_cache.kept() == []


def test_a_truncated_write_is_not_kept(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is tested is what lies on the disk."""
    whole = openvino_loading.write_graph

    def cut(model: Any, place: Path) -> None:
        whole(model, place)
        path = place / openvino_graph.WEIGHTS
        path.write_bytes(path.read_bytes()[:-4096])

    shutil.rmtree(export())
    monkeypatch.setattr(openvino_loading, "write_graph", cut)
    load(directory)
    assert openvino_cache.kept() == []


def test_an_interrupted_export_keeps_nothing(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    shutil.rmtree(export())
    with monkeypatch.context() as patch:
        patch.setattr(openvino_loading, "check_export", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load(directory)
    assert openvino_cache.kept() == []


def test_what_fails_its_test_is_refused_by_name_or_runs_on_transformers(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise CapabilityError("tiny: other numbers")

    shutil.rmtree(export())
    monkeypatch.setattr(openvino_loading, "check_export", fails)
    with pytest.raises(CapabilityError, match="other numbers"):
        load(directory)
    model = load(directory, engine=None)
    assert model.origin.engine.startswith("transformers ")
    assert model.origin.engine.endswith("; not openvino: tiny: other numbers")
    assert not exported_anew(), "a refusal is remembered"
    with pytest.raises(CapabilityError, match="other numbers"):
        load(directory)


def test_an_error_of_a_library_is_no_refusal_for_ever(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(export())
    with monkeypatch.context() as patch:
        patch.setattr(openvino(), "convert_model", out_of_memory)
        assert load(directory, engine=None).origin.engine.startswith("transformers ")
    assert load(directory, engine=None).origin.engine.startswith("openvino ")


def out_of_memory(*_: object, **__: object) -> None:
    raise RuntimeError("out of memory")


def test_without_openvino_transformers_runs_and_naming_it_says_what_to_install(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nescio.models import loading, openvino_runtime

    for module in (loading, openvino_runtime):
        own = module.find_spec
        monkeypatch.setattr(
            module,
            "find_spec",
            lambda name, own=own: None if name == "openvino" else own(name),
        )
    model = load(directory, engine=None)
    assert model.origin.engine.startswith("transformers ")
    assert "not openvino" not in model.origin.engine
    with pytest.raises(MissingDependency, match=r"pip install 'nescio\[local\]'"):
        load(directory)


def test_what_no_engine_can_load_is_refused(directory: Path, tmp_path: Path) -> None:
    for engine in (None, "openvino"):
        with pytest.raises(UnknownModel, match="cannot be loaded"):
            load(tmp_path / "nowhere", engine=engine)
        with pytest.raises(InvalidInput, match="unknown precision"):
            load(directory, ",precision=f8", engine=engine)


@pytest.mark.usefixtures("directory")
def test_rows_of_the_head_that_are_no_token_have_probability_zero(
    tmp_path: Path,
) -> None:
    padded = saved(tmp_path / "padded", vocabulary=VOCABULARY + 3)
    fast, slow = load(padded), load(padded, engine="transformers")
    assert fast.origin.engine.endswith(", 3 padded rows masked")
    one, other = nescio.score(fast, TEXT), nescio.score(slow, TEXT)
    np.testing.assert_allclose(one.logp, other.logp, rtol=0, atol=1e-4)
    np.testing.assert_allclose(one.entropy, other.entropy, rtol=0, atol=1e-4)
    _, logits = fast.extend([fast.open()], [np.array([1, 2, 3])])
    assert np.isneginf(logits[:, VOCABULARY:]).all()


def _load_in_process(directory: Path, results: Any) -> None:
    results.put(load(directory).origin.engine + str(exported_anew()))


@pytest.mark.verify
def test_of_two_processes_at_once_one_exports_and_both_load(directory: Path) -> None:
    shutil.rmtree(export())
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [
        context.Process(target=_load_in_process, args=(directory, results))
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    found = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    assert sorted(engine.endswith("True") for engine in found) == [False, True]
    assert len(openvino_cache.kept()) == 1


def _stop_while_testing(directory: Path, reached: Any) -> None:
    def stop(*_: object) -> None:
        reached.set()
        time.sleep(600)

    openvino_loading.check_export = stop
    load(directory)


@pytest.mark.verify
def test_a_killed_export_leaves_nothing_that_the_next_would_use(
    directory: Path,
) -> None:
    shutil.rmtree(export())
    context = multiprocessing.get_context("spawn")
    reached = context.Event()
    process = context.Process(target=_stop_while_testing, args=(directory, reached))
    process.start()
    assert reached.wait(timeout=120)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert openvino_cache.kept() == []
    assert load(directory).origin.engine.startswith("openvino ")
    assert exported_anew()


def test_exports_of_a_model_can_be_deleted(directory: Path) -> None:
    digest = load(directory).origin.model_digest
    assert openvino_cache.forget("other weights") == 0
    size = sum(file.stat().st_size for file in export().iterdir())
    assert openvino_cache.forget(digest) == size > 0
    assert openvino_cache.kept() == []


def test_a_hubs_model_is_known_by_its_commit_or_its_export_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from types import SimpleNamespace

    import transformers

    from nescio.models.loading import _on_hub

    commits = iter(["a1", "a1", "b2", None])

    def config(_name: str, **_: object) -> Any:
        return SimpleNamespace(_commit_hash=next(commits))

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", config)
    one, same, other, unknown = (_on_hub("org/name") for _ in range(4))
    assert one == same
    assert one.digest == "commit a1"
    assert one.place != other.place
    assert (unknown.digest, unknown.place) == ("commit unknown", None)


@pytest.mark.local_model
def test_the_catalogues_tokenizer_is_the_same_read_without_torch(
    smollm2_directory: Path,
) -> None:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    from nescio.models.tokenizer import tokenizer_of

    digests = {
        tokenizer_of(kind.from_pretrained(str(smollm2_directory)), 49_152).digest
        for kind in (AutoTokenizer, PreTrainedTokenizerFast)
    }
    assert len(digests) == 1
