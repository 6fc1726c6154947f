"""Fetch the pinned third-party files of the tab from the npm registry, and check them.

    python plugin_static/vendor/fetch.py           # fetch everything again (needs npm)
    python plugin_static/vendor/fetch.py --check   # only compare what is here with the pins

Files are kept verbatim, as published, together with their licence. To move to a newer version,
change its line in `PACKAGES`, run the script with `--pin` and paste the digests that it prints.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

VENDOR = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Package:
    """One pinned npm package and the files of it that the tab uses.

    Attributes:
        name: Name in the registry.
        version: Exact version.
        licence: SPDX identifier.
        folder: Folder under `vendor/` that receives the files.
        files: Path inside the package to the sha256 digest of the file, in hex.
    """

    name: str
    version: str
    licence: str
    folder: str
    files: dict[str, str]


PACKAGES = (
    Package(
        "@preact/signals-core",
        "1.14.5",
        "MIT",
        "signals",
        {
            "dist/signals-core.mjs": "0c80bc127d72ecb1496ef116ffddae75079829a3af01e7f417c8e5a6474c68b6",
            "LICENSE": "a11fc89e4c6b118854c7a667734a0b2e6bf2af5e45c6686de31adbccc8f3ae8d",
        },
    ),
    Package(
        "lit-html",
        "3.3.3",
        "BSD-3-Clause",
        "lit",
        {
            "lit-html.js": "b878e7f95dec8a9b6e9b217faca6b6a11bad82ebc44c0caa77419ed83edd81f2",
            "LICENSE": "2b66f9390afde29edfe4314daff93f01fb182e1178053e228120178987e5db75",
        },
    ),
    Package(
        "d3",
        "7.9.0",
        "ISC",
        "d3",
        {
            "dist/d3.min.js": "f2094bbf6141b359722c4fe454eb6c4b0f0e42cc10cc7af921fc158fceb86539",
            "LICENSE": "3e6849627f74ff73c257a3ae1efb574015d94fc1035c05ec3c15805165efcbc4",
        },
    ),
    Package(
        "@fontsource-variable/inter",
        "5.3.0",
        "OFL-1.1",
        "inter",
        {
            "files/inter-latin-wght-normal.woff2": "3100e775e8616cd2611beecfa23a4263d7037586789b43f035236a2e6fbd4c62",
            "LICENSE": "3b0a5fca3d17942cde889069889dedbbbd075e9b599968c82a95f4d944e9b345",
        },
    ),
)


def local_path(package: Package, file: str) -> Path:
    """Where a file of a package lies under `vendor/`."""
    return VENDOR / package.folder / Path(file).name


def digest(data: bytes) -> str:
    """Hex sha256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


def check() -> list[str]:
    """Compare the files that are here with the pins.

    Returns:
        One sentence for each file that is missing or differs; empty when all is well.
    """
    problems = []
    for package in PACKAGES:
        for file, expected in package.files.items():
            path = local_path(package, file)
            if not path.is_file():
                problems.append(f"{path} is missing: run {Path(__file__).name}")
            elif digest(path.read_bytes()) != expected:
                problems.append(f"{path} is not the file of {package.name} {package.version}")
    return problems


def fetch(package: Package, *, pin: bool) -> None:
    """Download one package with `npm pack` and keep the files that the tab uses.

    Args:
        package: What to fetch.
        pin: Print the digests instead of comparing them.

    Raises:
        ValueError: A file does not have the pinned digest.
    """
    with tempfile.TemporaryDirectory() as scratch:
        command = ["npm", "pack", "--silent", f"{package.name}@{package.version}"]
        subprocess.run(command, cwd=scratch, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(scratch).glob("*.tgz")
        with tarfile.open(archive) as tar:
            for file, expected in package.files.items():
                member = tar.extractfile(f"package/{file}")
                if member is None:
                    raise ValueError(f"{package.name} {package.version} has no file {file}")
                data = member.read()
                if pin:
                    print(f'{package.name}: "{file}": "{digest(data)}"')
                elif digest(data) != expected:
                    raise ValueError(f"{file} of {package.name} {package.version} has an unexpected digest")
                path = local_path(package, file)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)


def main() -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare only, fetch nothing")
    parser.add_argument("--pin", action="store_true", help="print the digests of what was fetched")
    args = parser.parse_args()
    if not args.check:
        for package in PACKAGES:
            fetch(package, pin=args.pin)
    problems = [] if args.pin else check()
    if args.pin:
        return 0
    print("\n".join(problems) or "all vendored files are as published")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
