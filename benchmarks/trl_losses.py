"""The losses beside TRL's: equal where they are defined alike, and inside its trainers.

    python -m venv DIR
    DIR/bin/pip install -r benchmarks/requirements-trl.txt -e . -c constraints.txt
    DIR/bin/python benchmarks/trl_losses.py

TRL has an environment of its own. Every value of TRL's is what its own function, or its
own trainer on a tiny random model, reckons; ours is of the same logits. Then each of
three trainers takes one step with ours as its loss. Prints both and writes
results/trl_losses.json; ends with 1 where two that are defined alike differ.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from measuring import table, write_result

TOLERANCE = 2e-5  # of float32 sums over tokens, relative
BETA = 0.3
ANSWERS = (
    ("The sky is", " blue as ever", " a fish"),
    ("One and one", " make two", " were never seen again"),
    ("To be", ", or not to be", " frank"),
    ("Once", " upon a time", " bitten, twice shy"),
)


@dataclass(frozen=True)
class Compared:
    """Two values of one thing."""

    name: str
    ours: float
    theirs: float

    @property
    def alike(self) -> bool:
        return math.isclose(self.ours, self.theirs, rel_tol=TOLERANCE, abs_tol=1e-7)


def tokenizer() -> Any:
    """Bytes, a padding and an end."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {word: place for place, word in enumerate(["<pad>", "<eos>", *letters])}
    made = Tokenizer(models.BPE(vocab=words, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="<eos>"
    )


def network(words: Any, seed: int) -> Any:
    """A random model that is sure enough to tell seeds apart."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(words),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=128,
            initializer_range=0.2,
            pad_token_id=words.pad_token_id,
            eos_token_id=words.eos_token_id,
            bos_token_id=None,
        )
    )


def settings(kind: type, folder: str, **more: Any) -> Any:
    """Of a trainer: one step on the CPU, and nothing is kept or reported."""
    return kind(
        output_dir=folder,
        per_device_train_batch_size=len(ANSWERS),
        max_steps=1,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
        bf16=False,
        gradient_checkpointing=False,
        **more,
    )


def pairs() -> Any:
    from datasets import Dataset  # pyright: ignore[reportMissingImports]

    columns = zip(*ANSWERS, strict=True)
    names = ("prompt", "chosen", "rejected")
    return Dataset.from_dict(
        {name: list(column) for name, column in zip(names, columns, strict=True)}
    )


def our_batch(
    model: Any, reference: Any, inputs: dict[str, Any], over_tokens: str = "sum"
) -> Any:
    """A batch of pairs from what TRL's collator gives: chosen first, then rejected."""
    import torch

    from nescio.training import PreferenceBatch, answer_logp, token_logp

    ids = inputs["input_ids"]
    mask = inputs["completion_mask"][:, 1:].bool()

    def both(network: Any) -> tuple[Any, Any]:
        logits = network(ids, attention_mask=inputs["attention_mask"]).logits
        logp = token_logp(logits[:, :-1], ids[:, 1:], mask=mask)
        one, other = answer_logp(logp, mask, over_tokens=over_tokens).chunk(2)
        return one, other

    with torch.no_grad():
        constant = both(reference)
    return PreferenceBatch(*both(model), *constant, over_tokens)


def preference_values(folder: str) -> Iterator[Compared]:
    """Every member of the family that both have, from TRL's own trainer."""
    import torch
    from trl import DPOConfig, DPOTrainer  # pyright: ignore[reportMissingImports]

    from nescio.training import PreferenceForm, preference_loss

    words = tokenizer()
    model, reference = network(words, 0), network(words, 1)
    trainer = DPOTrainer(
        model=model,
        ref_model=reference,
        args=settings(DPOConfig, folder, beta=BETA),
        train_dataset=pairs(),
        processing_class=words,
    )
    inputs = next(iter(trainer.get_train_dataloader()))

    def theirs(loss: str, divergence: str = "reverse_kl", **more: float) -> float:
        trainer.loss_types, trainer.loss_weights = [loss], [1.0]
        trainer.f_divergence_type = divergence
        trainer.label_smoothing = more.get("smoothing", 0.0)
        trainer.f_alpha_divergence_coef = more.get("alpha", 0.5)
        with torch.no_grad():
            return float(trainer.compute_loss(trainer.model, dict(inputs)))

    def ours(form: PreferenceForm, over_tokens: str = "sum") -> float:
        batch = our_batch(trainer.model, reference, inputs, over_tokens)
        return float(preference_loss(batch, beta=BETA, form=form).detach())

    trainer.model.eval()
    for loss in ("sigmoid", "hinge"):
        yield Compared(f"DPO {loss}", ours(PreferenceForm(loss)), theirs(loss))
    yield Compared(
        "IPO, means over tokens", ours(PreferenceForm("ipo"), "mean"), theirs("ipo")
    )
    yield Compared(
        "DPO sigmoid, means over tokens",
        ours(PreferenceForm(), "mean"),
        theirs("sigmoid_norm"),
    )
    names = {"forward_kl": "forward_kl", "jensen_shannon": "js_divergence"}
    for name, their_name in names.items():
        yield Compared(
            f"DPO sigmoid, {name}",
            ours(PreferenceForm(divergence=name)),
            theirs("sigmoid", their_name),
        )
    for alpha in (0.25, 0.5):
        yield Compared(
            f"DPO sigmoid, alpha {alpha} (TRL's {1 - alpha})",
            ours(PreferenceForm(divergence="alpha", alpha=alpha)),
            theirs("sigmoid", "alpha_divergence", alpha=1 - alpha),
        )
    yield from smoothed(ours, theirs)


def smoothed(
    ours: Callable[..., float], theirs: Callable[..., float]
) -> Iterator[Compared]:
    """Label smoothing. TRL's ``robust`` is (L - ε(L + L'))/(1 - 2ε), L' of the pairs
    swapped; ours, Mitchell's, is L - ε(L - L'): one follows from the other."""
    from nescio.training import PreferenceForm

    share = 0.2
    plain = ours(PreferenceForm())
    with_smoothing = ours(PreferenceForm(label_smoothing=share))
    swapped = (with_smoothing - (1 - share) * plain) / share
    robust = ((1 - share) * plain - share * swapped) / (1 - 2 * share)
    yield Compared(
        f"robust DPO from ours, ε {share}", robust, theirs("robust", smoothing=share)
    )


def divergence_values() -> Iterator[Compared]:
    """The generalised divergence of GKD, a mean over the tokens that count."""
    import torch
    from trl.experimental.gkd import GKDTrainer  # pyright: ignore[reportMissingImports]

    from nescio.training import Distillation, distillation_loss, generalised_jsd

    source = torch.Generator().manual_seed(0)
    student, teacher = (2 * torch.randn(3, 5, 40, generator=source) for _ in range(2))
    labels = torch.randint(40, (3, 5), generator=source)
    labels[0, 3:] = labels[2, 1:2] = -100
    kept = labels != -100
    for beta in (0.0, 0.1, 0.5, 0.9, 1.0):
        given: dict[str, Any] = {"beta": beta, "temperature": 1.5}
        theirs = GKDTrainer.generalized_jsd_loss(student, teacher, labels, **given)
        found = generalised_jsd(student[kept], teacher[kept], **given).mean()
        yield Compared(f"GKD, β {beta}, T 1.5", float(found), float(theirs))
    how = Distillation(temperature=1.5, alpha=1, beta=0.5)
    found = distillation_loss(student, teacher, how=how, mask=kept)
    theirs = GKDTrainer.generalized_jsd_loss(student, teacher, labels, 0.5, 1.5)
    yield Compared(
        "distillation with α 1 over T²", float(found) / 1.5**2, float(theirs)
    )


def masked_vocabulary() -> dict[str, float | None]:
    """A token that both exclude: what each makes of it, value and gradient."""
    import torch
    from trl.experimental.gkd import GKDTrainer  # pyright: ignore[reportMissingImports]

    from nescio.training import generalised_jsd

    found: dict[str, float | None] = {}
    for name in ("ours", "theirs"):
        student = torch.tensor([[[0.5, -0.5, -math.inf]]], requires_grad=True)
        teacher = torch.tensor([[[1.0, -1.0, -math.inf]]])
        if name == "ours":
            value = generalised_jsd(student, teacher).mean()
        else:
            value = GKDTrainer.generalized_jsd_loss(student, teacher)
        value.backward()
        assert student.grad is not None
        for what, number in (("", value), (", gradient", student.grad.abs().max())):
            one = float(number.detach())
            found[name + what] = one if math.isfinite(one) else None
    return found


def penalty_values() -> Iterator[Compared]:
    """k3 as GRPO's loss reckons it, k1 as RLOO takes it off the reward."""
    import torch

    from nescio.training import kl_loss, sequence_log_ratio

    source = torch.Generator().manual_seed(1)
    logp, reference = (-3 * torch.rand(4, 6, generator=source) for _ in range(2))
    mask = torch.ones(4, 6).bool()
    mask[1, 4:] = mask[3, 2:] = False
    theirs = grpo_penalty(logp, reference, mask)
    found = float(kl_loss(logp, reference, estimator="k3", mask=mask))
    yield Compared("GRPO's KL (k3), mean over tokens", found, theirs)
    per_token_kl = logp - reference  # as in RLOOTrainer: old logp less the reference's
    total = float((per_token_kl * mask).sum(-1).mean())
    found = float(sequence_log_ratio(logp, reference, mask=mask).mean())
    yield Compared("RLOO's KL (k1), mean over answers", found, total)


def grpo_penalty(logp: Any, reference: Any, mask: Any) -> float:
    """What GRPO's own loss adds for β: the loss with β 1 less that with β 0."""
    import torch
    from trl import GRPOConfig, GRPOTrainer  # pyright: ignore[reportMissingImports]

    words = tokenizer()
    with tempfile.TemporaryDirectory() as folder:
        kept = f"{folder}/model"  # it loads its own reference from there
        network(words, 0).save_pretrained(kept)
        trainer = GRPOTrainer(
            model=kept,
            reward_funcs=lambda completions, **_: [0.0] * len(completions),
            args=settings(
                GRPOConfig, folder, num_generations=2, loss_type="bnpo", beta=1.0
            ),
            train_dataset=pairs().select_columns(["prompt"]),
            processing_class=words,
        )
        trainer._get_per_token_logps_and_entropies = lambda *_, **__: (
            logp,
            torch.zeros_like(logp),
            None,
        )[: trainer_results(trainer)]
        inputs = {
            "prompt_ids": torch.ones(4, 2).long(),
            "prompt_mask": torch.ones(4, 2).long(),
            "completion_ids": torch.ones(4, 6).long(),
            "completion_mask": mask.long(),
            "advantages": torch.zeros(4),
            "ref_per_token_logps": reference,
            "old_per_token_logps": logp,
            "num_items_in_batch": mask.sum(),
        }
        found = []
        for trainer.beta in (1.0, 0.0):
            found.append(float(trainer._compute_loss(trainer.model, inputs)))
    return found[0] - found[1]


def trainer_results(trainer: Any) -> int:
    """How many values this TRL's own method returns."""
    import inspect

    said = inspect.getsource(type(trainer)._get_per_token_logps_and_entropies)
    last = [line for line in said.splitlines() if line.strip().startswith("return ")]
    return last[-1].count(",") + 1


def dpo_step(folder: str) -> Iterator[tuple[str, float]]:
    """DPOTrainer: a subclass whose `_compute_loss` is ours, IPO over sums."""
    from trl import DPOConfig, DPOTrainer  # pyright: ignore[reportMissingImports]

    from nescio.training import PreferenceForm, preference_loss

    class Ours(DPOTrainer):
        def _compute_loss(self, model: Any, inputs: Any, return_outputs: bool) -> Any:
            batch = our_batch(model, self.ref_model, inputs)
            loss = preference_loss(batch, beta=BETA, form=PreferenceForm("ipo"))
            return (loss, {}) if return_outputs else loss

    words = tokenizer()
    trainer = Ours(
        model=network(words, 0),
        ref_model=network(words, 1),
        args=settings(DPOConfig, folder, beta=BETA),
        train_dataset=pairs(),
        processing_class=words,
    )
    yield "DPOTrainer, preference_loss", trainer.train().training_loss


def gkd_step(folder: str) -> Iterator[tuple[str, float]]:
    """GKDTrainer: ours in place of its static method."""
    from datasets import Dataset  # pyright: ignore[reportMissingImports]
    from trl.experimental.gkd import GKDConfig, GKDTrainer  # pyright: ignore[reportMissingImports]

    from nescio.training import Distillation, distillation_loss

    class Ours(GKDTrainer):
        @staticmethod
        def generalized_jsd_loss(
            student_logits: Any,
            teacher_logits: Any,
            labels: Any = None,
            beta: float = 0.5,
            temperature: float = 1.0,
            reduction: str = "batchmean",
            num_items_in_batch: Any = None,
        ) -> Any:
            del reduction, num_items_in_batch
            how = Distillation(temperature, alpha=0.7, beta=beta)
            kept = labels != -100
            return distillation_loss(
                student_logits, teacher_logits, labels, how=how, mask=kept
            )

    words = tokenizer()
    words.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    talks = [
        [{"role": "user", "content": p}, {"role": "assistant", "content": c}]
        for p, c, _ in ANSWERS
    ]
    trainer = Ours(
        model=network(words, 0),
        teacher_model=network(words, 1),
        args=settings(GKDConfig, folder, lmbda=0.0, beta=0.5),
        train_dataset=Dataset.from_dict({"messages": talks}),
        processing_class=words,
    )
    yield "GKDTrainer, distillation_loss", trainer.train().training_loss


def sft_step(folder: str) -> Iterator[tuple[str, float]]:
    """SFTTrainer: a subclass's `compute_loss`, by tiles, from the network's body."""
    from datasets import Dataset  # pyright: ignore[reportMissingImports]
    from trl import SFTConfig, SFTTrainer  # pyright: ignore[reportMissingImports]

    from nescio.training import HiddenRows, tiled_token_logp

    class Ours(SFTTrainer):
        def compute_loss(
            self,
            model: Any,
            inputs: Any,
            return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> Any:
            del num_items_in_batch
            ids, labels = inputs["input_ids"], inputs["labels"][:, 1:]
            mask = inputs.get("attention_mask")
            hidden = model.model(ids, attention_mask=mask).last_hidden_state[:, :-1]
            kept = labels != -100
            rows = HiddenRows(hidden, model.lm_head.weight)
            logp = tiled_token_logp(rows, labels, mask=kept)
            loss = -logp.sum() / kept.sum()
            return (loss, {}) if return_outputs else loss

    words = tokenizer()
    trainer = Ours(
        model=network(words, 0),
        args=settings(SFTConfig, folder),
        train_dataset=Dataset.from_dict({"text": [p + c for p, c, _ in ANSWERS]}),
        processing_class=words,
    )
    yield "SFTTrainer, tiled_token_logp", trainer.train().training_loss


def main() -> None:
    """Compare, try the trainers, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.parse_args()
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        compared = [
            *divergence_values(),
            *preference_values(folder),
            *penalty_values(),
        ]
        steps = {
            name: loss
            for step in (dpo_step, gkd_step, sft_step)
            for name, loss in step(folder)
        }
    excluded = masked_vocabulary()
    rows = [
        [one.name, f"{one.ours:.7g}", f"{one.theirs:.7g}", "yes" if one.alike else "NO"]
        for one in compared
    ]
    print("\n" + table(["loss", "ours", "TRL's", "alike"], rows))
    print(
        "\n"
        + table(
            ["trainer and loss", "one step"],
            [[name, f"{loss:.6g}"] for name, loss in steps.items()],
        )
    )
    print(f"\na token that both exclude: {excluded}")
    from importlib.metadata import version

    found = {
        "values": [asdict(one) | {"alike": one.alike} for one in compared],
        "one step of a trainer": steps,
        "a token that both exclude": excluded,
    }
    path = write_result(
        "trl", found, tolerance=TOLERANCE, beta=BETA, trl=version("trl")
    )
    path = path.rename(path.with_name("trl_losses.json"))
    print(f"\n{path}")
    if not all(one.alike for one in compared) or not all(
        math.isfinite(loss) for loss in steps.values()
    ):
        sys.exit(1)


if __name__ == "__main__":
    main()
