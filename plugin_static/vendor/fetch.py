"""Fetch the pinned third-party files of the tab from the npm registry, and check them.

    python plugin_static/vendor/fetch.py            # fetch everything again (needs npm)
    python plugin_static/vendor/fetch.py --check    # only compare what is here with the pins
    python plugin_static/vendor/fetch.py --verify   # compare what is here, and the pins, with the registry

Files are kept verbatim, as published, together with their licence. `integrity` is what the registry
publishes of a package's archive; the digests are of the files in it. To move to a newer version, change its
line in `PACKAGES`, run the script with `--pin` and paste what it prints.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
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
        integrity: Of its archive, as the registry publishes it: "sha512-" and the digest in base64.
        licence: SPDX identifier.
        folder: Folder under `vendor/` that receives the files.
        files: Path inside the package to the sha256 digest of the file, in hex.
    """

    name: str
    version: str
    integrity: str
    licence: str
    folder: str
    files: dict[str, str]


PACKAGES = (
    Package(
        "@preact/signals-core",
        "1.14.5",
        "sha512-vcRv7Ityz5JVmeiVqIluLFzT/PDS/AlhHUpw3/aUWqcVUs6bDGIPXE/6RSC4evBNWYvnniozg5Syfj33al3gkg==",
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
        "sha512-el8M6jK2o3RXBnrSHX3ZKrsN8zEV63pSExTO1wYJz7QndGYZ8353e2a5PPX+qHe2aGayfnchQmkAojaWAREOIA==",
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
        "sha512-e1U46jVP+w7Iut8Jt8ri1YsPOvFpg46k+K8TpCb0P+zjCkjkPnV7WzfDJzMHy1LnA+wj5pLT1wjO901gLXeEhA==",
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
        "sha512-OupL48va4JNofb97w6NYeF9S7W/kHNKM0Er8Dem5nqi4jeOLrVJDoE8tZEpnMJmtkvNbB1EIPPwHcdkF6b1oUA==",
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


def download(package: Package) -> bytes:
    """The archive of a package, from the registry by `npm pack`."""
    with tempfile.TemporaryDirectory() as scratch:
        command = ["npm", "pack", "--silent", f"{package.name}@{package.version}"]
        subprocess.run(command, cwd=scratch, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(scratch).glob("*.tgz")
        return archive.read_bytes()


def published_integrity(package: Package) -> str:
    """What the registry says today of the archive of a package."""
    command = ["npm", "view", f"{package.name}@{package.version}", "dist.integrity"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def integrity(archive: bytes) -> str:
    """Digest of an archive, spelled as the registry does."""
    return f"sha512-{base64.b64encode(hashlib.sha512(archive).digest()).decode()}"


def unpack(package: Package, archive: bytes) -> dict[str, bytes]:
    """Read the files that the tab uses out of an archive; nothing is unpacked to disk.

    Args:
        package: Which files.
        archive: What `download` gives.

    Raises:
        ValueError: A file is not in it.
    """
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for file in package.files:
            try:
                member = tar.extractfile(f"package/{file}")
            except KeyError:
                member = None
            if member is None:
                raise ValueError(f"{package.name} {package.version} has no file {file}")
            found[file] = member.read()
    return found


def verify(package: Package, archive: bytes, published: str) -> list[str]:
    """Compare pins and files with what the registry has.

    Args:
        package: The pins.
        archive: What `download` gives.
        published: What `published_integrity` gives.

    Returns:
        One sentence for each difference; empty when all is well.
    """
    name = f"{package.name} {package.version}"
    problems = []
    pinned = package.integrity
    if published != pinned:
        problems.append(f"the registry publishes {published!r} of {name}, and pinned is {pinned!r}")
    if integrity(archive) != pinned:
        problems.append(f"the archive of {name} has {integrity(archive)!r}, and pinned is {pinned!r}")
        return problems
    for file, data in unpack(package, archive).items():
        path = local_path(package, file)
        if not path.is_file() or path.read_bytes() != data:
            problems.append(f"{path} is not {file} of {name}")
    return problems


def fetch(package: Package) -> None:
    """Download one package and keep the files that the tab uses.

    Args:
        package: What to fetch.

    Raises:
        ValueError: The archive or a file is not the pinned one.
    """
    archive = download(package)
    if integrity(archive) != package.integrity:
        raise ValueError(f"the archive of {package.name} {package.version} is not the pinned one")
    for file, data in unpack(package, archive).items():
        if digest(data) != package.files[file]:
            raise ValueError(f"{file} of {package.name} {package.version} has an unexpected digest")
        path = local_path(package, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def pin(package: Package) -> None:
    """Print what to write into `PACKAGES`."""
    archive = download(package)
    print(f'{package.name}: "{integrity(archive)}"')
    for file, data in unpack(package, archive).items():
        print(f'{package.name}: "{file}": "{digest(data)}"')


def main() -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="compare with the pins only, fetch nothing")
    what.add_argument("--verify", action="store_true", help="compare files and pins with the registry")
    what.add_argument("--pin", action="store_true", help="print the pins of what the registry has")
    args = parser.parse_args()
    problems: list[str] = []
    for package in () if args.check else PACKAGES:
        if args.pin:
            pin(package)
        elif args.verify:
            problems += verify(package, download(package), published_integrity(package))
        else:
            fetch(package)
    if args.pin:
        return 0
    problems += check()
    print("\n".join(problems) or "all vendored files are as published")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
