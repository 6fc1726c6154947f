"""Try one reader with inputs that coverage leads to: needs atheris, see the package's own words."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Run a campaign; it ends with the first finding or when the time is over."""
    # The ordinary tests import every module, and have no atheris.
    import atheris

    with atheris.instrument_imports(include=["conceptmon_tb"]):
        from tests.fuzz.targets import TARGETS, seeds

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--corpus", type=Path, default=Path(tempfile.gettempdir()) / "conceptmon-fuzz")
    arguments = parser.parse_args()
    corpus = arguments.corpus / arguments.target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(arguments.target)):
        (corpus / f"seed-{number}").write_bytes(seed)
    findings = arguments.corpus / f"findings-{arguments.target}-"
    settings = ["-timeout=10", "-rss_limit_mb=4096", "-max_len=20000", "-print_final_stats=1"]
    limits = [f"-max_total_time={arguments.seconds}", f"-artifact_prefix={findings}"]
    atheris.Setup([sys.argv[0], str(corpus), *settings, *limits], TARGETS[arguments.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
