"""Published result files of concept detectors: rows that can be trusted, or an error with a line number.

Three formats are known by their header, whatever the order of the columns and whatever others there are:
MILAN's descriptions (`layer,unit,description`), CLIP-Dissect's labels (the same and `similarity`) and
Network Dissection's table (`unit` and, for each category, its best label and IoU; one layer to a file).
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args

Format = Literal["milan", "clip-dissect", "netdissect"]

MOST_NEURONS = 100_000
"""Neurons that a layer may have: a unit beyond is taken for a mistake, not for a gap of that size."""

LARGEST_SIMILARITY = 65_504
"""What a log can hold of a similarity, in half precision."""

_SHOWN = 6
_LAYER_IN_NAME = re.compile(
    r"(?:^|[_.-])((?:layer|conv|block|stage|features?|fc|classifier)[a-z0-9.]*)$", re.I
)
_STEP_IN_NAME = re.compile(r"(?:^|[_.-])(?:epoch|step|iter|ep)[_.-]?(\d+)(?![a-z0-9])", re.I)


class FormatError(ValueError):
    """A result file is not what it should be; the message names the file, the line and the mend."""


@dataclass(frozen=True)
class Label:
    """One concept that a file gives to a neuron.

    Attributes:
        word: The concept as the file spells it, such as "reception-s".
        similarity: IoU of Network Dissection, similarity of CLIP-Dissect.
        category: The file's own category, "" where it has none.
    """

    word: str
    similarity: float
    category: str = ""


@dataclass(frozen=True)
class Row:
    """What a file says of one neuron.

    Attributes:
        unit: The neuron, numbered from 0 whatever the file does.
        line: Line of the file on which the row ends, for messages.
        description: Free text in one line, "" where there is none (MILAN only).
        labels: Concepts with their similarity, best first (CLIP-Dissect one, Network Dissection one for each
            category); empty for MILAN.
    """

    unit: int
    line: int
    description: str = ""
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True)
class ResultFile:
    """A result file, read and checked.

    Attributes:
        path: Where it was read from.
        format: Which of the formats it is in.
        layers: Rows by layer, in the order of the file; each unit is there once.
    """

    path: Path
    format: Format
    layers: Mapping[str, tuple[Row, ...]]


def read_results(path: str | Path, format: Format | Literal["auto"] = "auto", layer: str = "") -> ResultFile:  # noqa: A002
    """Read a result file and check every row.

    Args:
        path: A CSV file in UTF-8.
        format: Which format to expect; "auto" finds it by the header.
        layer: Layer of a Network Dissection file; "" takes it from the end of the file's name
            ("..._layer4.csv"). The other formats name the layer in every row.

    Returns:
        What the file says.

    Raises:
        FileNotFoundError: There is no such file.
        FormatError: Wrong header, a row with too few or too many fields, a unit that is no number or is there
            twice, a similarity that is no number: with the line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no result file at {str(path)!r}; give a .csv file of MILAN, CLIP-Dissect or NetDissect"
        )
    reader = csv.reader(io.StringIO(_read_text(path), newline=""), strict=True)
    header = [name.strip() for name in next(_records(path, reader), (0, []))[1]]
    found = _find_format(path, header, format)
    if layer and found != "netdissect":
        raise FormatError(
            f"{path}: layer={layer!r} is for Network Dissection files; {found} names layers itself"
        )
    parse = _parser(path, found, header, layer)
    layers: dict[str, dict[int, Row]] = {}
    for line, fields in _records(path, reader):
        name, row = parse(line, _by_column(path, line, header, fields))
        rows = layers.setdefault(name, {})
        if row.unit in rows:
            raise FormatError(
                f"{path}, line {line}: unit {fields[header.index('unit')].strip()} of layer {name!r} is "
                f"there twice, first in line {rows[row.unit].line}; keep one of them"
            )
        rows[row.unit] = row
    if not layers:
        raise FormatError(f"{path} has a header and no rows; there is nothing to import")
    return ResultFile(path, found, {name: tuple(rows.values()) for name, rows in layers.items()})


def layer_in_name(stem: str) -> tuple[str, str]:
    """Take the layer from the end of a file's name.

    Args:
        stem: Name of the file without its ending.

    Returns:
        What stands before, and the layer; the whole and "" where the name tells no layer.

    Example:
        >>> layer_in_name("netdissect_resnet18_places365_layer4")
        ('netdissect_resnet18_places365', 'layer4')
    """
    found = _LAYER_IN_NAME.search(stem)
    return (stem[: found.start()], found[1]) if found else (stem, "")


def step_in_name(stem: str) -> tuple[str, int | None]:
    """Take the step from a file's name.

    Args:
        stem: Name of the file without its ending.

    Returns:
        What is left of the name, and the step; the whole and None where the name tells no step.

    Example:
        >>> step_in_name("milan_epoch12")
        ('milan', 12)
        >>> step_in_name("netdissect_step-300_layer4")
        ('netdissect_layer4', 300)
    """
    found = _STEP_IN_NAME.search(stem)
    return (stem[: found.start()] + stem[found.end() :], int(found[1])) if found else (stem, None)


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start})") from error


class _Reader(Protocol):
    """What `csv.reader` gives."""

    @property
    def line_num(self) -> int: ...

    def __next__(self) -> list[str]: ...


def _records(path: Path, reader: _Reader) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, each with the line on which it ends."""
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            line = reader.line_num
            raise FormatError(
                f"{path}, line {line}: {error}; check the quotes in this row and before"
            ) from error
        if any(field.strip() for field in fields):
            yield reader.line_num, fields


def _find_format(path: Path, header: Sequence[str], wanted: str) -> Format:
    columns = set(header)
    if len(columns) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise FormatError(f"{path}: the header names the column {twice!r} twice")
    fitting: Format | None = None
    if {"unit", "category", "label"} <= columns and _categories(header):
        fitting = "netdissect"
    elif {"layer", "unit", "description"} <= columns:
        fitting = "clip-dissect" if "similarity" in columns else "milan"
    if wanted == "milan" and fitting == "clip-dissect":
        return "milan"  # the descriptions alone were asked for
    if wanted not in ("auto", *get_args(Format)):
        raise ValueError(f"format must be 'auto', {', '.join(map(repr, get_args(Format)))}, got {wanted!r}")
    if fitting is None or wanted not in ("auto", fitting):
        shown = ",".join(header[:_SHOWN]) + (",..." if len(header) > _SHOWN else "")
        raise FormatError(
            f"{path}: the header {shown!r} is not that of "
            + (wanted if wanted != "auto" else "a known format")
            + ". MILAN: layer,unit,description; CLIP-Dissect: layer,unit,description,similarity; "
            "NetDissect: unit,category,label,score,color-label,...,color-iou,..."
        )
    return fitting


def _categories(header: Sequence[str]) -> list[str]:
    columns = set(header)
    return [name[:-4] for name in header if name.endswith("-iou") and f"{name[:-4]}-label" in columns]


def _by_column(path: Path, line: int, header: Sequence[str], fields: Sequence[str]) -> dict[str, str]:
    if len(fields) != len(header):
        raise FormatError(
            f"{path}, line {line}: {len(fields)} fields where the header has {len(header)}; put double "
            f"quotes around a text that holds a comma"
        )
    return {name: " ".join(field.split()) for name, field in zip(header, fields, strict=True)}


_Parser = Callable[[int, Mapping[str, str]], tuple[str, Row]]


def _parser(path: Path, found: Format, header: Sequence[str], layer: str) -> _Parser:
    """What makes a layer and a row of the fields of a line."""
    if found == "netdissect":
        name = layer or layer_in_name(step_in_name(path.stem)[0])[1]
        if not name:
            raise FormatError(
                f"{path}: a Network Dissection file holds one layer without naming it; give --layer NAME "
                f"(layer=...), or let the file's name end in it: ..._layer4.csv"
            )
        categories = _categories(header)

        def parse_table(line: int, row: Mapping[str, str]) -> tuple[str, Row]:
            where = f"{path}, line {line}"
            unit = _unit(where, row["unit"], first=1)
            return name, Row(unit, line, labels=_table_labels(where, row, categories))

        return parse_table

    def parse_text(line: int, row: Mapping[str, str]) -> tuple[str, Row]:
        where = f"{path}, line {line}"
        unit, text = _unit(where, row["unit"], first=0), row["description"]
        if not row["layer"]:
            raise FormatError(f"{where}: the layer is empty; name it")
        if found == "milan":
            return row["layer"], Row(unit, line, description=text)
        similarity = _number(where, "similarity", row["similarity"])
        return row["layer"], Row(unit, line, labels=(Label(text, similarity),) if text else ())

    return parse_text


def _table_labels(where: str, row: Mapping[str, str], categories: Sequence[str]) -> tuple[Label, ...]:
    labels = []
    for category in categories:
        iou = _number(where, f"{category}-iou", row[f"{category}-iou"])
        if not 0 <= iou <= 1:
            raise FormatError(f"{where}: {category}-iou must be between 0 and 1, got {iou}")
        if row[f"{category}-label"]:
            labels.append(Label(row[f"{category}-label"], iou, category))
    # The file's own choice first where two are equally good.
    own = (row["label"], row["category"])
    return tuple(sorted(labels, key=lambda label: (-label.similarity, (label.word, label.category) != own)))


def _unit(where: str, text: str, first: int) -> int:
    try:
        unit = int(text) - first
    except ValueError:
        raise FormatError(f"{where}: unit must be a whole number, got {text!r}") from None
    if not 0 <= unit < MOST_NEURONS:
        raise FormatError(
            f"{where}: unit must be between {first} and {MOST_NEURONS - 1 + first} (this format numbers "
            f"units from {first}), got {text}"
        )
    return unit


def _number(where: str, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FormatError(f"{where}: {column} must be a finite number, got {text!r:.80}")
    if abs(value) > LARGEST_SIMILARITY:
        raise FormatError(f"{where}: {column} must be at most {LARGEST_SIMILARITY}, got {text!r:.80}")
    return value
