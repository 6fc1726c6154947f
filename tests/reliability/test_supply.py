"""What the package is made of: its own code, what it vendors, and what it depends on."""

from __future__ import annotations

import ast
import io
import re
import tarfile
from collections.abc import Iterator
from doctest import script_from_examples
from pathlib import Path
from types import ModuleType

import pytest

from tests.reliability import licences
from tests.reliability.notes import DOCUMENT, Note

ROOT = Path(__file__).parents[2]
SCANNED = ("conceptmon_tb", "demo", "benchmarks", "plugin_static")

# What runs whatever is in the data that it is given. None of it is in the code, but for what `ALLOWED` tells.
CALLS = (
    "eval", "exec", "compile", "__import__", "breakpoint", "os.system", "os.popen", "os.execv", "os.execve",
    "os.spawnv", "pty.spawn", "pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.load",
    "marshal.loads",
    "shelve.open", "dill.load", "dill.loads", "cloudpickle.load", "cloudpickle.loads", "joblib.load",
    "pandas.read_pickle", "_pickle.load", "_pickle.loads", "jsonpickle.decode", "torch.jit.load",
    "torch.package.PackageImporter", "torch.export.load", "torch.distributed.checkpoint.load",
    "builtins.eval", "builtins.exec", "types.FunctionType", "numexpr.evaluate", "pandas.eval",
    "yaml.load", "yaml.unsafe_load", "yaml.full_load", "tempfile.mktemp", "importlib.reload", "code.interact",
    "runpy.run_path", "runpy.run_module", "torch.hub.load", "subprocess.getoutput",
)  # fmt: skip
ALLOWED = {
    # Between a process and the workers that it started, over their own pipes.
    ("conceptmon_tb/checkpoints/passes.py", "pickle.loads"),
}
KEYWORDS = {
    # function (its last name): keyword, the only value that it may have, and whether it must be there
    "torch.load": ("weights_only", True, True),
    "numpy.load": ("allow_pickle", False, False),
    "subprocess.run": ("shell", False, False),
    "subprocess.Popen": ("shell", False, False),
    "subprocess.call": ("shell", False, False),
    "subprocess.check_call": ("shell", False, False),
    "subprocess.check_output": ("shell", False, False),
}
ANYWHERE = {"allow_pickle": False, "trust_remote_code": False, "shell": False}
SCRIPTS = (
    r"\.innerHTML\s*\+?=", r"\.outerHTML\s*\+?=", r"insertAdjacentHTML", r"document\.write", r"\beval\s*\(",
    r"new Function\b", r"unsafeHTML", r"\.srcdoc\b", r"javascript:", r"set(?:Timeout|Interval)\(\s*['\"`]",
    r"createContextualFragment", r"\bpostMessage\([^)]*['\"]\*['\"]", r"document\.domain",
    r"\.on\w+\s*=\s*['\"`]",
    r"importScripts", r"\.setAttribute\(\s*['\"]on", r"parseFromString\([^)]*text/html",
)  # fmt: skip


def _real_names(tree: ast.AST) -> dict[str, str]:
    """What names of a file stand for, by its imports: `np` for `numpy`, and `load` for `torch.load`."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def dangers(source: str) -> Iterator[tuple[str, int]]:
    """Yield what a Python file calls and should not, with its line."""
    tree = ast.parse(source)
    names = _real_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in (
            "pickle",
            "_pickle",
            "marshal",
            "dill",
            "shelve",
        ):
            yield f"from {node.module} import", node.lineno
        if not isinstance(node, ast.Call):
            continue
        first, dot, rest = ast.unparse(node.func).partition(".")
        name = names.get(first, first) + dot + rest
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if name in CALLS:
            yield name, node.lineno
        if name in KEYWORDS:
            keyword, value, is_needed = KEYWORDS[name]
            if given.get(keyword, str(value) if not is_needed else "") != str(value):
                yield f"{name}({keyword}={given.get(keyword)})", node.lineno
        for keyword, value in ANYWHERE.items():
            if keyword in given and given[keyword] != str(value):
                yield f"{name}({keyword}={given[keyword]})", node.lineno


def _told_python() -> Iterator[tuple[str, str]]:
    """Python in documents, which readers copy: by the document's path."""
    for path in (ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for block in re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.S | re.M):
            yield path.relative_to(ROOT).as_posix(), script_from_examples(block) if ">>>" in block else block


def test_no_code_runs_what_is_in_the_data(reliability: Note) -> None:
    files = [path for folder in SCANNED for path in sorted((ROOT / folder).rglob("*.py"))]
    sources = [(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in files]
    told = list(_told_python())
    found = [(name, *danger) for name, source in [*sources, *told] for danger in dangers(source)]
    assert len(files) > 250
    assert len(told) > 20
    assert [item for item in found if item[:2] not in ALLOWED] == []
    assert {item[:2] for item in found} == ALLOWED  # no more is allowed than there is
    pickling = {Path(name).name for name, source in sources if re.search(r"import \w*pickle", source)}
    # The first one only to tell its errors, the others between processes of one training or backfill.
    assert pickling == {"loading.py", "parcels.py", "passes.py"}
    reliability(
        area="supply", tried="Python files searched for pickle, eval and their like", count=len(files)
    )


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')",
        "x = torch.load(file)",
        "torch.load(file, weights_only=False)",
        "torch.load(file, weights_only=trusting)",
        "import numpy as np; np.load(file, allow_pickle=True)",
        "from torch import load; load(file)",
        "import torch as t; t.load(file)",
        "import torch; torch.jit.load(file)",
        "import pandas as pd; pd.read_pickle(file)",
        "from os import system; system(command)",
        "from subprocess import run; run(command, shell=True)",
        "import pickle as p; p.loads(data)",
        "subprocess.run(command, shell=True)",
        "pickle.loads(data)",
        "from pickle import loads",
        "yaml.load(text)",
        "AutoTokenizer.from_pretrained(name, trust_remote_code=True)",
        "os.system(command)",
    ],
)
def test_the_search_finds_what_it_looks_for(source: str) -> None:
    assert len(list(dangers(f"def f():\n    {source}\n"))) >= 1
    assert (
        list(dangers("model.eval(); re.compile('a'); torch.load(f, weights_only=True); numpy.load(f)")) == []
    )


def test_no_script_of_the_tab_makes_markup_or_code_of_text(reliability: Note) -> None:
    own = [path for path in (ROOT / "plugin_static").rglob("*.js") if "vendor" not in path.parts]
    assert len(own) > 100
    for path in own:
        text = path.read_text(encoding="utf-8")
        assert [pattern for pattern in SCRIPTS if re.search(pattern, text)] == [], path
    reliability(
        area="supply", tried="scripts of the tab searched for innerHTML, eval and their like", count=len(own)
    )


@pytest.mark.parametrize(
    "text",
    [
        "a.innerHTML = b", "a.outerHTML += b", "eval (b)", "new Function('a')", "setTimeout('a()', 1)",
        "window.parent.postMessage(data, '*')", "a.setAttribute('onclick', b)", "location = 'javascript:a'",
    ],
)  # fmt: skip
def test_the_search_of_scripts_finds_what_it_looks_for(text: str) -> None:
    assert any(re.search(pattern, text) for pattern in SCRIPTS)


def test_the_tab_loads_nothing_from_another_host() -> None:
    files = [path for path in (ROOT / "plugin_static").rglob("*") if path.suffix in {".js", ".css"}]
    own = [path for path in files if "vendor" not in path.parts]
    assert len(own) > 100
    for path in own:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert re.search(r"https?://|\bwss?://", text) is None, path


def test_the_readme_leads_to_what_is_said_of_security_and_that_to_its_proofs() -> None:
    assert "(SECURITY.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
    told = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", told)
    assert len(links) >= 3
    written_by_tests = DOCUMENT.relative_to(ROOT).as_posix()
    assert written_by_tests in links
    assert [link for link in links if link != written_by_tests and not (ROOT / link).is_file()] == []
    sections = re.findall(r"^## (.*)$", told, re.M)
    due = (
        "you may rely on",
        "gives to whom",
        "is written where",
        "TensorBoard does not protect",
        "Reporting",
    )
    assert [part for part in due if not any(part in section for section in sections)] == []


# What is vendored.


@pytest.fixture(scope="module")
def vendor() -> ModuleType:
    return licences.load_vendor_script()


def test_every_vendored_file_is_pinned_and_as_pinned(vendor: ModuleType, reliability: Note) -> None:
    pinned = {vendor.local_path(package, file) for package in vendor.PACKAGES for file in package.files}
    there = {path for path in vendor.VENDOR.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert there - {vendor.VENDOR / "fetch.py"} == pinned
    assert vendor.check() == []
    assert all("LICENSE" in package.files for package in vendor.PACKAGES)
    assert all(re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", package.integrity) for package in vendor.PACKAGES)
    reliability(area="supply", tried="vendored files compared with their digests", count=len(pinned))


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def test_a_changed_archive_pin_or_file_is_told(vendor: ModuleType, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(vendor, "VENDOR", tmp_path)
    files = {"a.js": b"let a;", "LICENSE": b"MIT"}
    archive = _archive(files)
    digests = {name: vendor.digest(data) for name, data in files.items()}
    package = vendor.Package("a", "1.0.0", vendor.integrity(archive), "MIT", "a", digests)
    (tmp_path / "a").mkdir()
    for name, data in files.items():
        (tmp_path / "a" / name).write_bytes(data)
    assert vendor.verify(package, archive, package.integrity) == []
    assert "registry publishes" in vendor.verify(package, archive, "sha512-other")[0]
    assert "pinned is" in vendor.verify(package, _archive({**files, "b": b""}), package.integrity)[0]
    (tmp_path / "a" / "a.js").write_bytes(b"let b;")
    assert "is not a.js of a 1.0.0" in vendor.verify(package, archive, package.integrity)[0]
    with pytest.raises(ValueError, match="no file LICENSE"):
        vendor.unpack(package, _archive({"a.js": b""}))


# What it depends on.

ACCEPTED = {"Apache", "BSD", "BSL", "CC0", "CNRI", "HPND", "ISC", "MIT", "MPL", "OFL", "PSF", "Zlib"}


def test_the_table_of_licences_is_current(reliability: Note) -> None:
    documented = licences.documented_table()
    direct = [item.name for item in licences.direct_requirements()]
    pins = {package.name: package.licence for package in licences.load_vendor_script().PACKAGES}
    assert set(documented) == {*direct, *pins}, "run python -m tests.reliability.licences --write"
    for name in direct:
        told, installed = licences.families(documented[name]), licences.families(licences.licence(name))
        assert told & installed, (
            f"{name}: {licences.licence(name)!r} is installed, {documented[name]!r} documented"
        )
        assert installed <= ACCEPTED, f"{name}: {licences.licence(name)!r}"
    assert {name: documented[name] for name in pins} == pins
    reliability(
        area="supply",
        tried="licences of dependencies compared with the documented ones",
        count=len(documented),
    )


@pytest.mark.parametrize(
    "text", ["GPL-3.0-only", "GNU Affero General Public License v3", "LGPL-2.1", "Proprietary"]
)
def test_other_licences_would_be_noticed(text: str) -> None:
    assert not (licences.families(text) and licences.families(text) <= ACCEPTED)


def test_no_lower_bound_is_missing_for_what_runs() -> None:
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    runtime = re.search(r"install_requires=\[(.*?)\]", text, re.S)
    assert runtime is not None
    names = re.findall(r'^\s*"([^"]+)",', runtime[1], re.M)
    assert len(names) == runtime[1].count(",\n") + runtime[1].count(",  #")
    assert [name for name in names if ">=" not in name] == []
    assert "torch>=2.6" in names  # before, weights_only=True does not hold: CVE-2025-32434
