"""Do the alert rules stay silent on healthy trainings, and do they tell the others?

    python -m benchmarks.alerts              # tables on the terminal
    python -m benchmarks.alerts --write      # also into docs/alerts.md

Trains the demo's small network, or reads the runs where they were trained before (`--runs`): healthy and
poor as `make demo` does; "few" on 200 images at an ordinary learning rate; "by heart" on 200 images, the
head fast and all below it so slowly that hardly a neuron changes its concept. Thresholds were chosen on
seed 0; the other seeds say what they are worth. A minute or two for each run that is not there yet.

Three healthy runs say little about rare false alarms, so each is also looked at in many copies with noise
added: as much as its own curves have, then two and three times as much.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

import conceptmon_tb as cm
from conceptmon_tb.alert_rules import RULE_FUNCTIONS, RULES, AlertRules
from conceptmon_tb.alert_series import LayerSeries
from conceptmon_tb.alerts import AlertWatch, LayerFigures, check_figures
from conceptmon_tb.reader import Run
from demo.__main__ import ANCHORS, LAYERS, make_probe
from demo.network import SmallResNet
from demo.pictures import Pictures, world_pictures
from demo.training import HEALTHY, POOR, Recipe, evaluate, train

PAGE = Path(__file__).parents[1] / "docs/alerts.md"
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
SEEDS = {"healthy": (0, 1, 2), "poor": (0, 1, 2), "few": (0,), "by heart": (0, 1)}
TUNED_ON = 0
FEW = 200
PROBE = 2000
COPIES = 200
NOISY = ("d_anchor", "mean_pairwise_distance", "displacement", "entropy")
SIGNED = {"entropy"}
COLUMNS = (*NOISY, "interpretable", "silent")


def main() -> None:
    """Train what is missing, look at all runs, print the tables and write them where asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=Path, default=Path(tempfile.gettempdir()) / "conceptmon-alerts")
    parser.add_argument("--write", action="store_true", help=f"write the tables into docs/{PAGE.name}")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", cm.ConceptAlert)
    make_runs(arguments.runs)
    runs = {
        (kind, seed): cm.read_run(folder_of(arguments.runs, kind, seed))
        for kind, seeds in SEEDS.items()
        for seed in seeds
    }
    tables = "\n\n".join((alert_table(runs), margin_table(runs), noise_table(runs)))
    print(tables)
    if arguments.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}\n{tables}\n{END}{after}", encoding="utf-8")


def folder_of(runs: Path, kind: str, seed: int) -> Path:
    """Where a run is kept."""
    return runs / f"{kind.replace(' ', '-')}-{seed}"


def make_runs(runs: Path) -> None:
    """Train the runs that are not there yet, one after the other."""
    missing = [
        (kind, seed) for kind in SEEDS for seed in SEEDS[kind] if not folder_of(runs, kind, seed).exists()
    ]
    if not missing:
        return
    torch.set_float32_matmul_precision("high")
    pictures = world_pictures(4000)
    monitor = cm.ConceptMonitor(layers=LAYERS, probe=make_probe(pictures, "world", PROBE), anchors=ANCHORS)
    for kind, seed in missing:
        folder = folder_of(runs, kind, seed)
        begun = folder.with_name(f"{folder.name}.begun")  # a run that was cut short is not taken for whole
        if kind == "by heart":
            learn_by_heart(pictures, monitor, begun, seed)
        elif kind == "few":
            # Five passes an epoch, so that an epoch is more than a batch or two.
            images = np.tile(np.random.default_rng(seed).permutation(4000)[:FEW], 5)
            recipe = Recipe(kind, learning_rate=0.01, schedule=False)
            train(recipe, chosen(pictures, images), monitor, begun, epochs=14, width=24, seed=seed)
        else:
            recipe = {"healthy": HEALTHY, "poor": POOR}[kind]
            train(recipe, pictures, monitor, begun, epochs=10, width=24, seed=seed)
        begun.rename(folder)


def chosen(pictures: Pictures, images: np.ndarray) -> Pictures:
    """The task with some of its training images."""
    return dataclasses.replace(
        pictures, train_images=pictures.train_images[images], train_labels=pictures.train_labels[images]
    )


def learn_by_heart(pictures: Pictures, monitor: cm.ConceptMonitor, folder: Path, seed: int) -> None:
    """Fit 200 images with the head, on features that are nearly those of a random network."""
    torch.manual_seed(seed)
    few = chosen(pictures, np.random.default_rng(seed).permutation(4000)[:FEW])
    model = SmallResNet(len(pictures.classes), 24, pictures.size).to(memory_format=torch.channels_last)
    head = list(model.head.parameters())
    below = [weight for name, weight in model.named_parameters() if not name.startswith("head.")]
    groups = [{"params": below, "lr": 2e-4}, {"params": head, "lr": 0.1}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    normalize, labels = pictures.normalizer(), torch.from_numpy(few.train_labels)
    images = torch.stack([normalize(Image.fromarray(image)) for image in few.train_images])
    with cm.ConceptWriter(folder, monitor=monitor) as writer:
        writer.add_concepts(model, global_step=0)
        for epoch in range(1, 13):
            loss, accuracy = _fit_one_epoch(model, optimizer, images, labels)
            writer.add_scalar("loss/train", loss, epoch)
            writer.add_scalar("accuracy/train", accuracy, epoch)
            writer.add_scalar("accuracy/val", evaluate(model, pictures)[1], epoch)
            writer.add_concepts(model, global_step=epoch)


def alert_table(runs: dict[tuple[str, int], Run]) -> str:
    """What was raised in each run."""
    lines = [
        "| run | layers x steps | alerts | raised: rule (layers), first step |",
        "| --- | --- | --- | --- |",
    ]
    for (kind, seed), run in runs.items():
        alerts = cm.check_run(run)
        told = []
        for rule in RULES:
            of_rule = [alert for alert in alerts if alert.rule == rule]
            layers = ", ".join(dict.fromkeys(alert.layer for alert in of_rule))
            if of_rule:
                told.append(f"{rule} ({layers}), {min(alert.step for alert in of_rule)}")
        tuned = ", tuned on" if seed == TUNED_ON else ""
        size = f"{len(run.snapshots)} x {len(run.steps)}"
        lines.append(f"| {kind}, seed {seed}{tuned} | {size} | {len(alerts)} | {'; '.join(told) or 'none'} |")
    return "\n".join(lines)


def margin_table(runs: dict[tuple[str, int], Run]) -> str:
    """How near each rule came to an alert: the largest strength over layers and steps; 1 is an alert."""
    kinds = list(SEEDS)
    lines = [f"| rule | {' | '.join(kinds)} |", f"| --- |{' --- |' * len(kinds)}"]
    for rule in RULES:
        cells = []
        for kind in kinds:
            found = [strongest(run, rule) for (of, _), run in runs.items() if of == kind]
            low, high = f"{min(found):.2f}", f"{max(found):.2f}"
            cells.append(low if low == high else f"{low} to {high}")
        lines.append(f"| {rule} | {' | '.join(cells)} |")
    return "\n".join(lines)


def noise_table(runs: dict[tuple[str, int], Run]) -> str:
    """False alarms in copies of the healthy runs with noise added."""
    lines = [
        "| noise added to healthy runs | copies | with an alert | per 100 layers x steps |",
        "| --- | --- | --- | --- |",
    ]
    healthy = [run for (kind, _), run in runs.items() if kind == "healthy"]
    for factor in (1, 2, 3):
        rng = np.random.default_rng(factor)
        alarms = [noisy_alarms(run, factor, rng) for run in healthy for _ in range(COPIES)]
        looks = sum(len(run.steps) * len(run.snapshots) for run in healthy) * COPIES
        share = sum(count > 0 for count in alarms) / len(alarms)
        name = "as much as the curves have" if factor == 1 else f"{factor} times as much"
        lines.append(f"| {name} | {len(alarms)} | {share:.1%} | {100 * sum(alarms) / looks:.2f} |")
    return "\n".join(lines)


def strongest(run: Run, rule: str) -> float:
    """The largest strength of a rule over all layers and steps of a run."""
    rules, best = AlertRules(), 0.0
    for layer in run.snapshots:
        series = LayerSeries(next(iter(run.snapshots[layer].values())).num_neurons)
        for step, now in figures_of(run, layer).items():
            training = run.training.get(step, {})
            series.steps.append(step)
            for name in COLUMNS:
                getattr(series, name).append(float(getattr(now, name)))
            series.nonfinite.append(now.nonfinite)
            series.loss.append(training.get("loss/train", math.nan))
            series.accuracy.append(training.get("accuracy/train", math.nan))
            finding = RULE_FUNCTIONS[rule](series, rules)
            best = max(best, finding.strength if finding is not None else 0.0)
    return best


def noisy_alarms(run: Run, factor: float, rng: np.random.Generator) -> int:
    """Alerts of one copy of a run whose curves have noise of their own size added."""
    copy: dict[int, dict[str, LayerFigures]] = {step: {} for step in run.steps}
    for layer in run.snapshots:
        known = figures_of(run, layer)
        noise = {name: factor * noise_of([getattr(now, name) for now in known.values()]) for name in NOISY}
        for step, now in known.items():
            shaken = {name: getattr(now, name) + rng.normal(0, noise[name]) for name in NOISY}
            bounded = {name: value if name in SIGNED else max(0.0, value) for name, value in shaken.items()}
            copy[step][layer] = now._replace(**bounded)
    return len(check_figures(copy, run.training, AlertWatch()))


def figures_of(run: Run, layer: str) -> dict[int, LayerFigures]:
    """What the rules want of a layer, by step."""
    return {step: LayerFigures.of_snapshot(snapshot) for step, snapshot in run.snapshots[layer].items()}


def noise_of(values: Sequence[float]) -> float:
    """Standard deviation of a curve's noise, from its second differences."""
    known = np.array([value for value in values if math.isfinite(value)])
    return float(1.4826 * np.median(np.abs(np.diff(known, 2))) / math.sqrt(6))


def _fit_one_epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, images: torch.Tensor, labels: torch.Tensor
) -> tuple[float, float]:
    """Five passes over the images; returns mean loss and accuracy."""
    model.train()
    losses, hits, seen = 0.0, 0, 0
    for _ in range(5):
        for batch in torch.randperm(len(images)).split(50):
            logits = model(images[batch])
            loss = F.cross_entropy(logits, labels[batch])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses += loss.item() * len(batch)
            hits += int((logits.argmax(1) == labels[batch]).sum())
            seen += len(batch)
    return losses / seen, hits / seen


if __name__ == "__main__":
    main()
