"""The case studies, run as the user runs them, in small; and the laws of their parts."""

import json
import re
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

import conceptmon_tb as cm
from demo.case_studies import training
from demo.case_studies.attack import RADIUS, Pgd
from demo.case_studies.bench import Bench, StudyError
from demo.case_studies.claims import CLAIMS, Evidence, Measured, Verdict, judge
from demo.case_studies.claims.base import spread
from demo.case_studies.claims.measures import early_share, rank_correlation
from demo.case_studies.loop import Recipe, fit
from demo.case_studies.networks import LAYERS, make_network
from demo.case_studies.pictures import FINISHES, Task, make_texture_task
from demo.case_studies.pruning import (
    masks_of,
    prunable,
    prune_at_random,
    prune_smallest,
    rewind,
    sparsity,
)
from demo.case_studies.records import read_log, read_trials
from demo.case_studies.report import BEGIN, END, PAGE, STUDIES, write_page
from demo.case_studies.settings import FULL, LAPTOP, parse_settings
from demo.network import SmallResNet
from demo.pictures import Pictures

ROOT = Path(__file__).parents[2]
TINY = [
    *("--images", "128", "--probe-images", "120", "--width", "4", "--epochs", "2", "--seeds", "1"),
    *("--stages", "2", "--stage-epochs", "1", "--tune-epochs", "1", "--attacked", "20", "--quiet"),
]


def run_module(name: str, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", f"demo.case_studies{name}", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> "tuple[Path, subprocess.CompletedProcess[str]]":
    """The folder and the answer of one run of all studies."""
    logdir = tmp_path_factory.mktemp("studies")
    return logdir, run_module("", "--logdir", str(logdir), *TINY)


def test_all_studies_run_and_answer_all_claims(
    studied: "tuple[Path, subprocess.CompletedProcess[str]]",
) -> None:
    logdir, done = studied
    assert done.returncode == 0, done.stderr
    evidence = Evidence(read_trials(logdir))
    assert [claim.text for claim in CLAIMS if claim.measure(evidence) is None] == []
    assert all(claim.text in done.stdout for claim in CLAIMS)
    causes = [claim.examine(evidence) for claim in CLAIMS if claim.examine is not None]
    assert not [cause for cause in causes if "nan" in cause]


def test_runs_hold_what_the_studies_promise(
    studied: "tuple[Path, subprocess.CompletedProcess[str]]",
) -> None:
    logdir, _ = studied
    steps = {trial.variant: trial.run.steps for trial in read_trials(logdir)}
    for variant in ("standard", "poor", "adversarial/robust", "regularizer", "lottery_ticket/rewound"):
        assert steps[variant] == (0, 1, 2)
    assert steps["fine_tuning"] == (0, 1)
    assert {"ablations/detector-network_dissection", "ablations/concepts-large"} <= set(steps)
    rewound = read_log(logdir / "lottery_ticket" / "rewound" / "seed-0")
    assert [round(rewound.scalars["sparsity"][stage], 2) for stage in (0, 1, 2)] == [0, 0.4, 0.64]
    robust = read_log(logdir / "adversarial" / "robust" / "seed-0")
    assert 0 <= robust.last("accuracy/attacked") <= 1
    penalty = read_log(logdir / "regularizer" / "seed-0").scalars["loss/penalty"]
    gentle = read_log(logdir / "regularizer_gentle" / "seed-0").scalars["loss/penalty"]
    assert penalty[1] > 5 * gentle[1] > 0
    smooth = read_log(logdir / "regularizer_smooth" / "seed-0")
    assert (smooth.last("beta"), smooth.last("temperature")) == (1.0, pytest.approx(0.1))


def test_what_is_finished_is_not_run_again_and_other_settings_are_refused(
    studied: "tuple[Path, subprocess.CompletedProcess[str]]", capsys: pytest.CaptureFixture[str]
) -> None:
    logdir, _ = studied
    before = {path: path.stat().st_mtime_ns for path in logdir.rglob("*tfevents*")}
    settings = parse_settings("", "", ["--logdir", str(logdir), *TINY])
    training.run(Bench(settings, tiny_task(classes=10)))
    assert capsys.readouterr().out.count("is finished already") == 2
    with pytest.raises(StudyError, match="choose another --logdir"):
        training.run(Bench(replace(settings, epochs=3), tiny_task(classes=10)))
    assert {path: path.stat().st_mtime_ns for path in logdir.rglob("*tfevents*")} == before


def test_a_run_that_was_cut_off_begins_anew(tmp_path: Path) -> None:
    settings = parse_settings("", "", ["--logdir", str(tmp_path), *TINY])
    bench = Bench(replace(settings, epochs=1), tiny_task())

    def stop(_network: nn.Module, _writer: cm.ConceptWriter, epoch: int) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.trained("standard", 0, bench.recipe(), each_epoch=stop)
    assert not bench.is_done("standard", 0, "epochs", "learning_rate")
    bench.standard(0)
    assert bench.is_done("standard", 0, "epochs", "learning_rate")
    run = cm.read_run(tmp_path / "standard" / "seed-0")
    assert run.steps == (0, 1)
    assert run.warnings == ()


def test_the_report_is_made_from_event_files_alone(
    studied: "tuple[Path, subprocess.CompletedProcess[str]]", tmp_path: Path
) -> None:
    logdir, _ = studied
    copied = tmp_path / "runs"
    for path in logdir.rglob("*tfevents*"):
        target = copied / path.relative_to(logdir)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    page = tmp_path / "page.md"
    done = run_module(".report", "--logdir", str(copied), "--write", "--page", str(page))
    assert done.returncode == 0, done.stderr
    text = page.read_text(encoding="utf-8")
    for claim in CLAIMS:
        assert claim.text in text
        assert claim.source in text
    figures = re.findall(r"\]\((images/\S+\.png)\)", text)
    assert len(figures) == 8
    for name in figures:
        assert (tmp_path / name).stat().st_size < 60_000
        with Image.open(tmp_path / name) as image:
            assert image.width > 900
            assert np.asarray(image.convert("L")).std() > 10  # something is drawn


def test_the_page_keeps_what_is_written_around_the_generated_part(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before {BEGIN} old {END} after", encoding="utf-8")
    write_page(page, "new")
    assert page.read_text(encoding="utf-8") == f"before {BEGIN}\n\nnew\n\n{END} after"
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(SystemExit, match="lacks the marks"):
        write_page(page, "new")


def test_a_folder_without_runs_is_told() -> None:
    done = run_module(".report", "--logdir", "/no/such/folder")
    assert done.returncode != 0
    assert "python -m demo.case_studies" in done.stderr


def test_the_committed_page_answers_every_study() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
    for study in STUDIES:
        assert study in text


def test_every_claim_quotes_its_place_in_the_thesis() -> None:
    for claim in CLAIMS:
        assert claim.study in STUDIES
        assert re.search(r"section \d|appendix [A-C]|Fig\. \d", claim.source), claim.text


@pytest.mark.parametrize(
    ("margins", "verdict"),
    [
        ((0.2, 0.3, 0.25), Verdict.HOLDS),
        ((0.2,), Verdict.WEAKLY),
        ((0.9, 0.01), Verdict.WEAKLY),
        ((0.3, -0.1), Verdict.WEAKLY),
        ((0.1, -0.3), Verdict.FAILS),
        ((0.0, 0.0), Verdict.FAILS),
        ((0.3, 0.2, float("nan")), Verdict.WEAKLY),
        ((-0.3, float("nan")), Verdict.FAILS),
        ((float("nan"), float("nan")), Verdict.FAILS),
        ((), Verdict.UNKNOWN),
    ],
)
def test_verdicts_follow_the_written_rule(margins: tuple[float, ...], verdict: Verdict) -> None:
    assert judge(Measured("", margins)) is verdict


def test_what_was_not_run_is_not_measured() -> None:
    assert {judge(claim.measure(Evidence([]))) for claim in CLAIMS} == {Verdict.UNKNOWN}


def test_figures_are_told_with_their_deviation_and_what_is_missing() -> None:
    assert spread({0: 0.5}) == "0.50"
    assert spread({0: 1.0, 1: 3.0}, ".1f") == "2.0 ± 1.4"
    assert spread({0: 1.0, 1: 3.0, 2: float("nan")}, "+.1f") == "+2.0 ± 1.4 (known for 2 of 3)"
    assert spread({0: float("nan")}) == "not known"


def test_trends_and_early_shares() -> None:
    assert rank_correlation([1, 2, 5, 9]) == pytest.approx(1)
    assert rank_correlation([3, 2, 1]) == pytest.approx(-1)
    assert rank_correlation([4, 4, 4]) == 0
    assert early_share([1.0, 0.6, 0.55, 0.5]) == pytest.approx(0.8)
    assert np.isnan(early_share([1.0, 1.1, 1.2]))


def test_each_stage_prunes_two_fifths_of_what_is_left() -> None:
    network = make_network(10, 32, 8)
    for stage in range(1, 9):
        prune_smallest(network)
        assert sparsity(network) == pytest.approx(1 - 0.6**stage, abs=1e-3)


def test_pruned_weights_are_the_smallest_and_stay_zero_in_training() -> None:
    task = tiny_task()
    network = make_network(2, 32, 4)
    before = torch.cat([module.weight.detach().abs().flatten() for module in prunable(network)])
    prune_smallest(network)
    kept = torch.cat([mask.flatten() for mask in masks_of(network)]).bool()
    assert before[~kept].max() <= before[kept].min()
    for _ in fit(network, task, Recipe(2, 16, 0.1), name="", progress=False):
        pass
    for module, mask in zip(prunable(network), masks_of(network), strict=True):
        assert not module.weight[mask == 0].any()


def test_rewinding_restores_the_first_weights_bit_for_bit() -> None:
    torch.manual_seed(3)
    network = make_network(2, 32, 4)
    initial = deepcopy(network.state_dict())
    for _ in fit(network, tiny_task(), Recipe(1, 16, 0.1), name="", progress=False):
        pass
    prune_smallest(network)
    masks = [mask.clone() for mask in masks_of(network)]
    rewind(network, initial)
    state = network.state_dict()
    for name, value in state.items():
        if not name.endswith("_mask"):
            assert torch.equal(value, initial[name.removesuffix("_orig")]), name
    for module, mask, old in zip(prunable(network), masks_of(network), masks, strict=True):
        assert torch.equal(mask, old)
        assert torch.equal(module.weight, module.weight_orig * mask)


def test_masks_by_chance_are_as_sparse_in_every_layer_and_others() -> None:
    network, other = make_network(10, 32, 4), make_network(10, 32, 4)
    prune_smallest(network, 0.7)
    prune_at_random(other, network, seed=1)
    for learned, chance in zip(masks_of(network), masks_of(other), strict=True):
        assert learned.sum() == chance.sum()
    assert not all(torch.equal(*pair) for pair in zip(masks_of(network), masks_of(other), strict=True))


def tiny_task(count: int = 48, classes: int = 2) -> Task:
    """Bright and dark pictures; of further classes there are none."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % 2
    images = random.integers(0, 120, (count, 32, 32, 3)) + 100 * labels[:, None, None, None]
    images = images.astype(np.uint8)
    return Task(
        Pictures("tiny", [str(i) for i in range(classes)], images, labels, images, labels),
        torch.device("cpu"),
    )


@pytest.fixture(scope="module")
def attacked() -> "tuple[Task, nn.Module, torch.Tensor, torch.Tensor, torch.Tensor]":
    """A task, a trained network, pictures, labels, and the pictures under attack."""
    torch.manual_seed(0)
    task = tiny_task()
    network = make_network(2, 32, 4)
    for _ in fit(network, task, Recipe(3, 16, 0.05), name="", progress=False):
        pass
    images, labels = next(iter(task.held_out()))
    return task, network, images, labels, Pgd(task, 10)(network, images, labels)


def test_attacks_stay_in_the_ball_and_between_black_and_white(
    attacked: "tuple[Task, nn.Module, torch.Tensor, torch.Tensor, torch.Tensor]",
) -> None:
    task, _, images, _, changed = attacked
    pixels = (changed - images) * task.deviation
    assert pixels.abs().max() <= RADIUS + 1e-3
    assert pixels.abs().max() > RADIUS / 2
    black, white = task.bounds
    assert (changed >= black - 1e-5).all()
    assert (changed <= white + 1e-5).all()


def test_attacks_raise_the_loss_more_than_noise_and_leave_the_network_alone(
    attacked: "tuple[Task, nn.Module, torch.Tensor, torch.Tensor, torch.Tensor]",
) -> None:
    task, network, images, labels, _ = attacked
    state = deepcopy(network.state_dict())
    network.train()
    changed = Pgd(task, 5)(network, images, labels)
    assert network.training
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None or not changed.requires_grad for parameter in network.parameters())
    network.eval()
    noise = images + RADIUS / task.deviation * torch.randn_like(images).sign()
    with torch.no_grad():
        plain, noisy, strong = (
            F.cross_entropy(network(inputs), labels).item() for inputs in (images, noise, changed)
        )
    assert strong > max(plain, noisy)


def test_training_is_the_same_for_the_same_seed() -> None:
    def train() -> list[dict[str, float]]:
        torch.manual_seed(5)
        network = make_network(2, 32, 4)
        return [e.scalars for e in fit(network, tiny_task(), Recipe(2, 16, 0.1), name="", progress=False)]

    assert train() == train()


def test_the_second_domain_shows_finishes_only_in_the_first_ones_size() -> None:
    like = tiny_task().pictures
    task = make_texture_task(parse_settings("fine_tuning", "", ["--images", "80"]), like)
    assert task.pictures.classes == FINISHES
    assert task.train[0].shape == (40, 3, 32, 32)
    assert set(task.train[1].tolist()) <= set(range(20))
    assert all(torch.equal(*pair) for pair in zip(task.pictures.statistics, like.statistics, strict=True))


def test_the_full_scale_has_the_papers_settings() -> None:
    settings = parse_settings("", "", ["--scale", "full", "--seeds", "1"])
    assert (settings.epochs, settings.stage_epochs, settings.stages) == (40, 160, 8)
    assert settings.width == 0
    assert settings.seeds == 1
    assert FULL.batch == LAPTOP.batch == 128
    network = make_network(10, 32, settings.width)
    assert not isinstance(network, SmallResNet)
    assert sum(p.numel() for p in network.parameters()) == 11_173_962  # a ResNet-18 with a 3x3 stem
    names = dict(network.named_modules())
    assert all(layer in names for layer in LAYERS)
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_settings_that_matter_are_logged(studied: "tuple[Path, subprocess.CompletedProcess[str]]") -> None:
    settings = json.loads(read_log(studied[0] / "poor" / "seed-0").texts["case_study/settings"])
    assert settings["images"] == 128
    assert settings["poor_rate"] == LAPTOP.poor_rate
    assert cm.read_run(studied[0] / "poor" / "seed-0").steps == (0, 1, 2)
