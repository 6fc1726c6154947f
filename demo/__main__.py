"""`make demo`: train and monitor a small network, say what was learned, and open TensorBoard."""

from __future__ import annotations

import argparse
import logging
import socket
import subprocess
import sys
import time
from pathlib import Path

import torch
from PIL import Image

import conceptmon_tb as cm
from demo.pictures import Pictures, folder_pictures, world_pictures
from demo.story import print_story
from demo.training import HEALTHY, POOR, train

LAYERS = ["layer2", "layer3", "layer4"]
ANCHORS = ["texture", "airplane", "flower", "wheel", "forest", "red"]
CONCEPT_EVO = "conceptevo"
STORIES = ("concept-monitor", CONCEPT_EVO)


def main() -> None:
    """Runs the demo from the command line."""
    if chosen_story() == CONCEPT_EVO:
        tell_concept_evo()
        return
    args = parse_arguments()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    started = time.perf_counter()
    try:
        pictures = (
            folder_pictures(args.data, args.images) if args.data else world_pictures(args.images or 4000)
        )
        probe = make_probe(pictures, args.probe, args.probe_images)
    except (OSError, ValueError) as error:
        sys.exit(f"demo: {error}")

    recipes = [recipe for recipe in (HEALTHY, POOR) if recipe.name in args.runs]
    monitor = cm.ConceptMonitor(layers=LAYERS, probe=probe, anchors=ANCHORS)  # one serves all runs
    runs = {}
    for recipe in recipes:
        run_dir = new_run_dir(args.logdir, f"{pictures.name}-{recipe.name}")
        runs[recipe.name] = run_dir
        train(recipe, pictures, monitor, run_dir, epochs=args.epochs, width=args.width, seed=args.seed)
    if "healthy" in runs:
        print_story(runs["healthy"], runs.get("poor"))
    print(f"\nDone in {time.perf_counter() - started:.0f} s. Event files: {args.logdir}")
    if args.server:
        serve(args.logdir, args.port)
    else:
        print(f"To see them: {sys.executable} -m tensorboard.main --logdir {args.logdir}")


def chosen_story() -> str:
    """Which story is asked for; its options are parsed by itself."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--story", choices=STORIES, default=STORIES[0])
    return str(first.parse_known_args()[0].story)


def tell_concept_evo() -> None:
    """The story of ConceptEvo, `python -m demo.conceptevo`, and TensorBoard."""
    from demo.conceptevo import story

    mine = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    mine.add_argument("--story")
    mine.add_argument("--port", type=positive_int, default=6006)
    mine.add_argument("--no-server", dest="server", action="store_false")
    args, others = mine.parse_known_args()
    logdir = story.main(others)
    if args.server:
        serve(logdir, args.port)


def parse_arguments() -> argparse.Namespace:
    """The demo's options."""
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="Train a small network under Concept Monitor and open TensorBoard.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--story",
        choices=STORIES,
        default=STORIES[0],
        help="conceptevo: three kinds of network on one map; its options: --story conceptevo --help",
    )
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="images in class folders (default: the picture world)"
    )
    parser.add_argument(
        "--probe",
        choices=["world", "data"],
        default="world",
        help="probe images: picture world or held-out data",
    )
    parser.add_argument("--probe-images", type=positive_int, default=2000, help="probe images at most")
    parser.add_argument(
        "--runs", nargs="+", choices=["healthy", "poor"], help="default: both; with --data healthy"
    )
    parser.add_argument("--epochs", type=positive_int, default=10, help="epochs of each run")
    parser.add_argument("--images", type=positive_int, help="training images at most (picture world: 4000)")
    parser.add_argument("--width", type=positive_int, default=24, help="channels of the first stage")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and batches")
    parser.add_argument("--logdir", type=Path, default=Path("runs"), help="where the event files go")
    parser.add_argument(
        "--port", type=positive_int, default=6006, help="port of TensorBoard (the next free one)"
    )
    parser.add_argument("--no-server", dest="server", action="store_false", help="do not start TensorBoard")
    args = parser.parse_args()
    args.runs = args.runs or (["healthy"] if args.data else ["healthy", "poor"])
    return args


def positive_int(text: str) -> int:
    """An argument that must be a whole number above 0."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value


def make_probe(pictures: Pictures, kind: str, count: int) -> cm.ProbeSet:
    """The probe set: held-out pictures of the world, or the held-out images of the data."""
    if kind == "world":
        return cm.ProbeSet.world(count, transform=pictures.normalizer())
    print("Probing with the data: of photographs the demo encoder knows little more than the colours.")
    held_out = [Image.fromarray(image) for image in pictures.test_images]
    return cm.ProbeSet(held_out, transform=pictures.normalizer(), max_images=count)


def new_run_dir(logdir: Path, name: str) -> Path:
    """A run directory that does not exist yet: nothing already logged is touched."""
    path, number = logdir / name, 2
    while path.exists():
        path, number = logdir / f"{name}-{number}", number + 1
    return path


def serve(logdir: Path, first_port: int) -> None:
    """Serves TensorBoard until Ctrl-C."""
    port = next(port for port in range(first_port, first_port + 100) if _is_free(port))
    print(f"\n  Concept Monitor:  http://localhost:{port}/#conceptmon    (Ctrl-C ends it)\n", flush=True)
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--port", str(port)]
    try:
        subprocess.run(command, check=False)
    except KeyboardInterrupt:
        print("\nTensorBoard stopped; the event files stay in", logdir)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("localhost", port)) != 0


if __name__ == "__main__":
    torch.set_float32_matmul_precision("high")
    main()
