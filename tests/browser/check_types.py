"""Check the JSDoc types of the tab with `tsc --checkJs --strict`: for developers, needs npm.

    python tests/browser/check_types.py

The compiler and the libraries' type declarations are installed into a scratch folder, never into
the repository; declarations are laid beside the vendored files, which have none of their own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

STATIC = Path(__file__).resolve().parents[2] / "plugin_static"
PACKAGES = ("typescript@7.0.2", "@types/d3@7", "lit-html@3.3.3", "@preact/signals-core@1.14.5")
DECLARATIONS = {
    "signals/signals-core.d.mts": "export * from '@preact/signals-core';",
    "lit/lit-html.d.ts": "export * from 'lit-html';",
    "d3/d3.min.d.ts": "export {};",
}
OPTIONS = {
    "allowJs": True,
    "checkJs": True,
    "noEmit": True,
    "strict": True,
    "target": "es2023",
    "module": "esnext",
    "moduleResolution": "bundler",
    "lib": ["es2023", "dom", "dom.iterable"],
    "skipLibCheck": True,
    "types": [],
}


def main() -> int:
    """Run the compiler over a copy of `plugin_static`; returns its exit status."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        shutil.copytree(STATIC, root / "src")
        for name, text in DECLARATIONS.items():
            (root / "src" / "vendor" / name).write_text(text, encoding="utf-8")
        config = {"compilerOptions": OPTIONS, "include": ["src/**/*.js"], "exclude": ["src/vendor"]}
        (root / "tsconfig.json").write_text(json.dumps(config), encoding="utf-8")
        subprocess.run(["npm", "install", "--silent", "--prefix", scratch, *PACKAGES], check=True)
        return subprocess.run([str(root / "node_modules/.bin/tsc"), "-p", scratch], check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
