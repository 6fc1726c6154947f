"""Run scenarios on this rank; see `tests.ranks`."""

from __future__ import annotations

import pickle
import sys
import time
from datetime import timedelta
from pathlib import Path

import torch.distributed as dist

from tests.ranks import looks, troubles


def main() -> None:
    folder = Path(sys.argv[1])
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    number, told = dist.get_rank(), {}
    for name in sys.argv[2:]:
        (folder / name).mkdir(exist_ok=True)
        began = time.process_time()
        told[name] = (getattr(looks, name, None) or getattr(troubles, name))(folder / name)
        print(f"{number} {name}: {time.process_time() - began:.1f} s", flush=True)
        (folder / f"{number}.pickle").write_bytes(pickle.dumps(told))
    if "death" not in told:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
