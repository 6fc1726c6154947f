"""Packaging of Concept Monitor: the writer, the TensorBoard tab and its static files."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(
    r'__version__ = "(.+?)"', (ROOT / "conceptmon_tb/__init__.py").read_text(encoding="utf-8")
)[1]

EXTRAS = {
    "accelerate": ["accelerate>=1.0"],
    "export": ["matplotlib>=3.7", "pandas>=2.0"],
    "lightning": ["lightning>=2.2"],
    "transformers": ["accelerate>=1.0", "transformers>=4.40"],
}

setup(
    name="conceptmon-tb",
    version=VERSION,
    description="Which concepts do the neurons detect, at every epoch? A writer and a TensorBoard tab.",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=[*find_packages(include=["conceptmon_tb", "conceptmon_tb.*"]), "conceptmon_tb.plugin_static"],
    package_dir={"conceptmon_tb.plugin_static": "plugin_static"},
    package_data={
        "conceptmon_tb": ["py.typed", "**/assets/*", "**/data/*"],
        "conceptmon_tb.plugin_static": ["**/*"],
    },
    install_requires=[
        "google-crc32c>=1.5",
        "numpy>=1.24",
        "open_clip_torch>=3.0",
        "pillow>=10.3",  # before: memory errors in decoding, CVE-2023-4863
        "protobuf>=4.21",
        "safetensors>=0.4",
        "tensorboard>=2.14",
        "torch>=2.6",  # before: weights_only=True does not hold, CVE-2025-32434
        "tqdm>=4.65",
        "umap-learn>=0.5.5",
    ],
    extras_require={
        **EXTRAS,
        "test": [
            *sorted({requirement for extra in EXTRAS.values() for requirement in extra}),
            "axe-playwright-python",
            "hypothesis",
            "mypy",
            "playwright",
            "psutil",
            "pytest",
            "pytest-timeout",
            "pytest-xdist>=3.8",
            "ruff",
            "setuptools>=70.1",
            "types-tqdm",
            "types-protobuf",
        ],
    },
    entry_points={
        "console_scripts": ["conceptmon = conceptmon_tb.cli:main"],
        "tensorboard_plugins": ["conceptmon = conceptmon_tb.plugin.loader:ConceptMonitorLoader"],
    },
)
