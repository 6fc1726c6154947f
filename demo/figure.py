"""The thesis' Figure 2.1 from event files alone: `python -m demo.figure runs/world-healthy`.

One row for each of three epochs: the neurons of a layer in the concept space with the anchors (left),
what three followed neurons answer to most and what they are called (middle), how many neurons of each
layer are interpretable, by category (right). No model, no images and no GPU are needed.

Source: Concept-Monitor, thesis section 2.2 and Figure 2.1.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

import conceptmon_tb as cm
from conceptmon_tb.reader import Run

FOLLOWED = ("#d9730d", "#d6409f", "#2268e2")  # orange, pink and blue, as in the thesis
STAR, GRAY, INK = "#12823b", "#a9a9a4", "#1a1d21"
CATEGORIES = {
    "color": "#e158a6",
    "texture": "#982f13",
    "material": "#b1880d",
    "part": "#03aaf2",
    "object": "#2268e2",
    "scene": "#743794",
}  # from simple to complex, in the colours of the tab
OTHERS = ("#0f8b8d", "#d97706", "#5b6ad0", "#6f7682")
NUM_IMAGES = 5
GAP = 4  # white pixels between thumbnails


def main() -> None:
    """Draws the figure from the command line."""
    args = parse_arguments()
    try:
        run = cm.read_run(args.run)
        figure = draw_figure(run, args.layer, args.steps, args.neurons)
    except (OSError, ValueError) as error:
        raise SystemExit(f"demo.figure: {error}") from None
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=args.dpi)
    print(f"wrote {args.out}")


def parse_arguments() -> argparse.Namespace:
    """The figure's options."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.figure", description="Draw Figure 2.1 of the thesis from a run's event files."
    )
    add = parser.add_argument
    add("run", type=Path, help="the run's own directory")
    add("--layer", help="layer of the map and the followed neurons (default: the last one)")
    add("--steps", type=int, nargs="+", help="steps, one row each (default: first, middle and last)")
    add(
        "--neurons", type=int, nargs="+", help="neurons to follow, at most 3 (default: those that moved most)"
    )
    add("--out", type=Path, default=Path("figure_2_1.png"), help=".png, .svg or .pdf (default: %(default)s)")
    add("--dpi", type=int, default=160)
    return parser.parse_args()


def draw_figure(
    run: Run, layer: str | None = None, steps: list[int] | None = None, neurons: list[int] | None = None
) -> Figure:
    """Draw the figure.

    Args:
        run: From `read_run`.
        layer: Layer of the map; None: the last one logged.
        steps: Steps, a row each; None: first, middle and last.
        neurons: Neurons to follow, at most three; None: the tracked ones, else those that moved most.

    Raises:
        ValueError: The run has no such layer, step or neuron.
    """
    layer = layer or list(run.snapshots)[-1]
    if layer not in run.snapshots:
        raise ValueError(f"--layer: the run has no layer {layer!r}; it has {', '.join(run.snapshots)}")
    logged = sorted(run.snapshots[layer])
    steps = steps or sorted({logged[0], logged[len(logged) // 2], logged[-1]})
    missing = [step for step in steps if step not in logged]
    if missing:
        raise ValueError(f"--steps: {layer} was not logged at step {missing[0]}; it was at {logged}")
    neurons = choose_neurons(run, layer) if neurons is None else neurons
    width = run.snapshots[layer][steps[-1]].num_neurons
    if len(neurons) > len(FOLLOWED) or any(not 0 <= neuron < width for neuron in neurons):
        raise ValueError(f"--neurons: give at most three numbers between 0 and {width - 1}, got {neurons}")
    with mpl.rc_context({"font.size": 9, "text.color": INK, "axes.titlesize": 10, "svg.fonttype": "none"}):
        figure = Figure(figsize=(13, 3.5 * len(steps) + 0.5), layout="constrained", facecolor="white")
        figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
        rows = np.atleast_1d(figure.subfigures(len(steps), 1, hspace=0.04))
        for row, step in zip(rows, steps, strict=True):
            draw_row(row, run, layer, step, neurons)
        add_legend(figure, run)
    return figure


def choose_neurons(run: Run, layer: str) -> list[int]:
    """The tracked neurons, else the farthest movers of three different concepts."""
    by_step = run.snapshots[layer]
    first, last = by_step[min(by_step)], by_step[max(by_step)]
    if last.tracked:
        return list(last.tracked[: len(FOLLOWED)])
    moved = np.linalg.norm(last.embedding - first.embedding, axis=1) * (first.valid & last.interpretable)
    chosen: list[int] = []
    for neuron in np.argsort(-moved).tolist():
        if len(chosen) < len(FOLLOWED) and last.words[neuron] not in [last.words[n] for n in chosen]:
            chosen.append(neuron)
    return chosen


def draw_row(row: SubFigure, run: Run, layer: str, step: int, neurons: list[int]) -> None:
    """One epoch: map, images, bars."""
    left, middle, right = row.subfigures(1, 3, width_ratios=[1.05, 1.2, 0.95])
    draw_map(left.subplots(), run, layer, step, neurons)
    strips = np.atleast_1d(middle.subplots(max(len(neurons), 1), 1))
    for strip, neuron, color in zip(strips, neurons, FOLLOWED, strict=False):
        draw_images(strip, run, layer, step, neuron, color)
    draw_bars(right.subplots(), run, step)


def draw_map(axes: Axes, run: Run, layer: str, step: int, neurons: list[int]) -> None:
    """Gray dots are neurons, green stars anchors, coloured dots the followed neurons and their way here."""
    by_step = run.snapshots[layer]
    snapshot = by_step[step]
    x, y = snapshot.position.T
    axes.scatter(*snapshot.space.position.T, s=3, color="#ececea", linewidths=0)
    axes.scatter(x, y, s=14, color=GRAY, alpha=0.75, linewidths=0)
    for word, (left, top) in zip(snapshot.space.anchors, snapshot.space.anchor_position, strict=True):
        axes.scatter(left, top, s=110, marker="*", color=STAR, edgecolors="white", linewidths=0.6, zorder=3)
        axes.annotate(
            word, (left, top), (0, 7), textcoords="offset points", ha="center", color=STAR, weight="bold"
        )
    for neuron, color in zip(neurons, FOLLOWED, strict=False):
        way = np.array([by_step[s].position[neuron] for s in sorted(by_step) if s <= step])
        axes.plot(*way.T, color=color, linewidth=1, alpha=0.5)
        axes.scatter(*way[-1], s=75, color=color, edgecolors="white", linewidths=1, zorder=4)
    axes.set_title(f"step {step}   {layer}   d_anchor {snapshot.anchor_distance:.3f}", loc="left")
    axes.set(xlim=(-1.12, 1.12), ylim=(-1.12, 1.12), xticks=[], yticks=[], aspect="equal")
    axes.spines[:].set_color("#e8e7e3")


def draw_images(axes: Axes, run: Run, layer: str, step: int, neuron: int, color: str) -> None:
    """The images that activate a neuron most, under its number, concept and similarity."""
    snapshot = run.snapshots[layer][step]
    axes.axis("off")
    label = "no concept: it answers to nothing"
    if snapshot.valid[neuron]:
        label = f"{snapshot.words[neuron]} ({snapshot.best_similarity[neuron]:.2f})"
        label += "" if snapshot.interpretable[neuron] else ", below the threshold"
    axes.set_title(f"neuron {neuron}:  {label}", loc="left", color=color, weight="bold", pad=3)
    wanted = snapshot.top_images[neuron, :NUM_IMAGES]
    if run.images is None or not len(run.images.ids):
        axes.text(0, 0.5, "no example images were logged", transform=axes.transAxes)
        return
    size = run.images.thumbnails.shape[1]
    strip = np.full((size, NUM_IMAGES * (size + GAP) - GAP, 3), 255, np.uint8)
    at = dict(zip(run.images.ids.tolist(), run.images.thumbnails, strict=True))
    for place, image in enumerate(wanted.tolist()):
        if image in at:
            strip[:, place * (size + GAP) : place * (size + GAP) + size] = at[image]
    axes.imshow(strip, interpolation="lanczos")


def draw_bars(axes: Axes, run: Run, step: int) -> None:
    """Interpretable neurons of every layer in percent, stacked by category from simple to complex."""
    layers = [layer for layer, by_step in run.snapshots.items() if step in by_step]
    for place, layer in enumerate(layers):
        snapshot, start = run.snapshots[layer][step], 0.0
        for name, color in colors_of(run).items():
            share = 100 * snapshot.category_counts.get(name, 0) / snapshot.num_neurons
            axes.barh(place, share, left=start, color=color, height=0.62, edgecolor="white", linewidth=0.5)
            start += share
        axes.text(start + 1.5, place, f"{start:.0f}%", va="center")
    axes.set_title("interpretable neurons", loc="left")
    axes.set(yticks=range(len(layers)), xlim=(0, 112), xticks=[0, 25, 50, 75, 100])
    axes.set_yticklabels(layers)
    axes.set_xlabel("% of the layer")
    axes.invert_yaxis()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)


def colors_of(run: Run) -> dict[str, str]:
    """Colour of every category, the known ones from simple to complex first."""
    names = set(run.space.categories)
    colors = {name: color for name, color in CATEGORIES.items() if name in names}
    for number, name in enumerate(sorted(names - set(CATEGORIES))):
        colors[name] = OTHERS[min(number, len(OTHERS) - 1)]
    return colors


def add_legend(figure: Figure, run: Run) -> None:
    """Categories below all rows."""
    handles = [
        mpl.patches.Patch(color=color, label=name or "no category") for name, color in colors_of(run).items()
    ]
    figure.legend(handles=handles, loc="outside lower right", ncols=len(handles), frameon=False)


if __name__ == "__main__":
    main()
