"""The licences of what the project depends on, out of the metadata of the installed packages.

python -m tests.reliability.licences           # print docs/licences.md
python -m tests.reliability.licences --write   # write it
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "licences.md"
VENDOR = ROOT / "plugin_static" / "vendor" / "fetch.py"
LONGEST = 60
UNTOLD = "not told"
# Spelled in many ways; the first word found names the family.
FAMILIES = {
    "Apache": "apache", "BSD": "bsd", "MIT": "mit", "MPL": "mpl|mozilla", "PSF": "psf|python software",
    "ISC": "isc", "Zlib": "zlib", "CC0": "cc0", "BSL": "bsl|boost", "CNRI": "cnri", "OFL": "ofl",
    "HPND": "hpnd", "NVIDIA": "nvidia", "GPL": "gpl|gnu", "LGPL": "lgpl|lesser", "AGPL": "agpl|affero",
}  # fmt: skip

INTRODUCTION = """\
# Licences

Written by `python -m tests.reliability.licences --write` out of the metadata of the installed packages, in
their own spelling. The project itself is under Apache-2.0.
"""
REST = """\
Nothing of the runtime is under a copyleft licence but tqdm, whose MPL-2.0 covers changes to its own files.
The packages of CUDA are NVIDIA's: torch's builds for CUDA bring them, its builds for the CPU do not.

## Known holes

`pip-audit` was tried on 2026-11-21 for all installed packages, and `npm audit` for the vendored ones. Neither
reached a database of advisories from the machine of development ("could not be audited", for every package):
*no audit has been made*; run `pip-audit` where it can ask. By hand: the lower bounds of torch (2.6, for
CVE-2025-32434: code runs in spite of `weights_only=True`) and Pillow (10.3, for memory errors in decoding,
such as CVE-2023-4863) leave out versions with holes on our way.

## Data inside the package

[Concept sets](../conceptmon_tb/data/LICENSES.md),
[WordNet](../conceptmon_tb/lexicon/assets/LICENSE.wordnet).
"""


class Requirement(NamedTuple):
    """A package that `setup.py` names.

    Attributes:
        name: Name in the registry.
        use: "runtime", or the extra that needs it.
    """

    name: str
    use: str


def direct_requirements() -> list[Requirement]:
    """What `setup.py` asks for: each package once, by its first use."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    lists: dict[str, list[str]] = {"runtime": [], "test": []}
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "install_requires":
            lists["runtime"] = ast.literal_eval(node.value)
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "EXTRAS":
            lists |= ast.literal_eval(node.value)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "test" and isinstance(value, ast.List):
                    lists["test"] = [item.value for item in value.elts if isinstance(item, ast.Constant)]
    order = ["runtime", *(name for name in lists if name not in ("runtime", "test")), "test"]
    found: dict[str, Requirement] = {}
    for use in order:
        for requirement in lists[use]:
            name = _name(requirement)
            found.setdefault(name, Requirement(name, use))
    return list(found.values())


def licence(name: str) -> str:
    """The licence of an installed package, as its metadata tells.

    Raises:
        PackageNotFoundError: It is not installed.
    """
    told: Any = metadata.metadata(name)
    text = (told.get("License") or "").strip()
    short = text if len(text) <= LONGEST and "\n" not in text else ""
    classifiers = [line.split(" :: ") for line in told.get_all("Classifier") or []]
    named = [
        c[-1] for c in classifiers if c[0] == "License" and c[-1] not in ("OSI Approved", "DFSG approved")
    ]
    return str(told.get("License-Expression") or short or ", ".join(named) or _first_line(name) or UNTOLD)


def families(text: str) -> set[str]:
    """The families of licences that a text names."""
    words = re.findall(r"[a-z0-9.]+", text.lower())
    spaced = f" {' '.join(words)} "
    return {name for name, pattern in FAMILIES.items() if re.search(rf" (?:{pattern})", spaced)}


def documented_table() -> dict[str, str]:
    """Licences by package, as the document has them."""
    rows = re.findall(
        r"^\| (\S+)(?: \S+)? \| [^|]+ \| ([^|]+) \|$", DOCUMENT.read_text(encoding="utf-8"), re.M
    )
    return {name: told for name, told in rows if name not in ("package", "---")}


def brought_along(names: Iterable[str]) -> dict[str, list[str]]:
    """What packages bring with them: names by licence."""
    seen: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in seen and _is_installed(name):
            seen.add(name)
            wanted = metadata.requires(name) or []
            pending += [_name(item) for item in wanted if "extra ==" not in item]
    found: dict[str, list[str]] = {}
    for name in sorted(seen - set(names)):
        found.setdefault(licence(name), []).append(name)
    return found


def direct_table() -> str:
    """The table of the direct dependencies and of what is vendored."""
    rows = [("package", "for", "licence"), ("---", "---", "---")]
    rows += [(item.name, item.use, licence(item.name)) for item in direct_requirements()]
    for package in load_vendor_script().PACKAGES:
        rows.append((f"{package.name} {package.version}", "the tab (vendored)", package.licence))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def as_document() -> str:
    """The whole of `docs/licences.md`."""
    runtime = [item.name for item in direct_requirements() if item.use == "runtime"]
    groups = sorted(brought_along(runtime).items(), key=lambda item: (-len(item[1]), item[0]))
    lines = [f"- {name}: {', '.join(packages)}" for name, packages in groups]
    along = "## What those of the runtime bring with them\n\n" + "\n".join(lines)
    return "\n".join([INTRODUCTION, "## Direct dependencies\n", direct_table(), "", along, "", REST])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Print or write docs/licences.md.")
    parser.add_argument("--write", action="store_true", help="write docs/licences.md")
    if parser.parse_args().write:
        DOCUMENT.write_text(as_document(), encoding="utf-8")
    else:
        print(as_document())


def load_vendor_script() -> Any:
    """The script that pins the vendored files, as a module."""
    spec = importlib.util.spec_from_file_location("vendor_fetch", VENDOR)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name while it runs
    spec.loader.exec_module(module)
    return module


def _first_line(name: str) -> str:
    """How a licence file among the package's files begins."""
    for file in metadata.files(name) or []:
        if file.name.upper().startswith("LICEN"):
            return next((line.strip() for line in file.read_text().splitlines() if line.strip()), "")[
                :LONGEST
            ]
    return ""


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    main()
