"""All case studies one after the other, then the report: `python -m demo.case_studies`."""

from __future__ import annotations

import sys
import time

from demo.case_studies import ablations, adversarial, fine_tuning, lottery_ticket, regularizer, training
from demo.case_studies.bench import Bench, StudyError
from demo.case_studies.claims import Evidence
from demo.case_studies.records import read_trials
from demo.case_studies.report import as_text
from demo.case_studies.settings import parse_settings

_STUDIES = (training, lottery_ticket, adversarial, fine_tuning, regularizer, ablations)


def main() -> None:
    """Runs what is not finished yet."""
    settings = parse_settings("", "All case studies of the thesis, then what they say about its claims.")
    bench = Bench(settings)
    for study in _STUDIES:
        name = study.__name__.rpartition(".")[2]
        start = time.perf_counter()
        try:
            study.run(bench)
        except (OSError, ValueError, StudyError) as error:
            sys.exit(f"{name}: {error}")
        print(f"{name}: done in {time.perf_counter() - start:.0f} s", flush=True)
    print(as_text(Evidence(read_trials(settings.logdir))))


if __name__ == "__main__":
    main()
