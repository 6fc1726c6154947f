"""The vendored libraries are the published files, with their licences."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "plugin_static" / "vendor" / "fetch.py"


def test_every_vendored_file_is_as_published_and_has_a_licence() -> None:
    spec = importlib.util.spec_from_file_location("vendor_fetch", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    fetch = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name while it runs.
    sys.modules[spec.name] = fetch
    spec.loader.exec_module(fetch)

    assert fetch.check() == []
    assert all("LICENSE" in package.files for package in fetch.PACKAGES)


def test_nothing_is_loaded_from_another_host() -> None:
    static = SCRIPT.parent.parent
    files = [path for path in static.rglob("*") if "vendor" not in path.parts]
    sources = [path for path in files if path.suffix in {".js", ".css"}]

    assert len(sources) > 20
    for path in sources:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text, path
        assert "https://" not in text, path
        assert "innerHTML" not in text, path
        assert "eval(" not in text, path
