"""What several commands of `conceptmon` share: options of concepts and encoders, and how they speak."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from conceptmon_tb.terminal_text import printable

if TYPE_CHECKING:
    from conceptmon_tb.concepts import ConceptSet
    from conceptmon_tb.encoders import ConceptEncoder


def add_concept_options(
    parser: argparse.ArgumentParser, *, concepts: str, encoder: str, encoders: str
) -> None:
    """Add the options that say what neurons are compared with.

    Args:
        parser: Of the command.
        concepts: Default of `--concepts`.
        encoder: Default of `--encoder`.
        encoders: Help of `--encoder`.
    """
    parser.add_argument(
        "--concepts",
        default=concepts,
        metavar="broden|english|imagenet|world|FILE",
        help=f"concept set; a .txt or .csv file is one of your own (default: {concepts or 'as the encoder'})",
    )
    parser.add_argument("--encoder", default=encoder, metavar=f"{encoder}|MODEL/PRETRAINED", help=encoders)
    parser.add_argument(
        "--threshold", type=float, help="similarity above which a neuron counts as interpretable"
    )
    parser.add_argument(
        "--anchors", nargs="+", default=[], metavar="WORD", help="words shown as stars on the map"
    )


def make_concept_set(name: str) -> ConceptSet:
    """The concept set of `--concepts`.

    Args:
        name: Of a built-in set, or a file.

    Returns:
        The set.

    Raises:
        OSError: There is no such file.
        ValueError: The file is no concept set.
    """
    from conceptmon_tb.concepts import ConceptSet

    built_in = {
        "broden": ConceptSet.broden,
        "english": ConceptSet.english,
        "imagenet": ConceptSet.imagenet,
        "world": ConceptSet.world,
    }
    return built_in[name]() if name in built_in else ConceptSet.from_file(name)


def make_encoder(name: str) -> ConceptEncoder:
    """The encoder of `--encoder`.

    Args:
        name: "lexicon" (words only), "world" (the bundled demo encoder), or an open_clip model as
            "MODEL/PRETRAINED", "hf-hub:OWNER/NAME" or "local-dir:FOLDER".

    Returns:
        The encoder.

    Raises:
        ValueError: It cannot be loaded.
    """
    if name == "lexicon":
        from conceptmon_tb.lexicon import LexiconEncoder

        return LexiconEncoder()
    from conceptmon_tb.encoders import OpenClipEncoder, WorldEncoder

    if name == "world":
        return WorldEncoder()
    whole = name.startswith(("hf-hub:", "local-dir:"))
    model, _, pretrained = (name, "", "") if whole else name.partition("/")
    try:
        return OpenClipEncoder(model, pretrained or None)
    except (RuntimeError, ImportError) as error:  # open_clip's word for a download that failed
        raise ValueError(f"encoder {name!r} cannot be loaded: {' '.join(str(error).split())}") from error


def step_number(text: str) -> int:
    """An argument that must be a global step."""
    step = int(text)
    if step < -1:
        raise argparse.ArgumentTypeError("must be -1 (before training) or more")
    return step


def say(message: str) -> None:
    """Tell the user something that is not the command's result."""
    print(printable(message), file=sys.stderr, flush=True)
