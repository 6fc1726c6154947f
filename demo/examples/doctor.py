"""What is wrong with a log, and a clean copy of it: `python -m demo.examples.doctor [--logdir runs/resume]`.

Give it any TensorBoard log, such as that of demo.examples.resume after a crash. On the command line it is
`conceptmon doctor LOGDIR --repair OUT`; docs/resume.md explains every finding. Nothing here needs torch.
"""

import argparse
from pathlib import Path

from conceptmon_tb.doctor import examine, repair

parser = argparse.ArgumentParser()
parser.add_argument("--logdir", default="runs/resume", type=Path)
logdir = parser.parse_args().logdir

found = examine(logdir)
for run in found.runs:
    print(f"{run.name}: {len(run.steps)} epochs of {len(run.layers)} layers in {len(run.files)} event files")
    for finding in run.findings:  # damage, what TensorBoard would show wrongly, and notes
        where = f" ({finding.file}, byte {finding.offset})" if finding.offset is not None else ""
        print(f"  {finding.level}: {finding.message}{where}")

if not found.is_clean:
    copy = logdir.with_name(f"{logdir.name}_clean")
    for mended in repair(logdir, copy).runs:  # the original stays as it is
        print(f"{mended.path}: {mended.events} events, {mended.salvaged} of them saved from behind damage")
    print("clean:", examine(copy).is_clean)
