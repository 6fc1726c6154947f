"""The process that embeds typed words: what it takes, and how it says what went wrong."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from conceptmon_tb.plugin.encoder_worker import describe_failure, explain_failure


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ImportError("no torch"), "not_installed"),
        (ValueError("no such model"), "failed"),
        (type("OfflineModeIsEnabled", (OSError,), {})("offline"), "weights"),
    ],
)
def test_a_failure_is_explained_by_what_is_at_its_root(error: Exception, code: str) -> None:
    outer = RuntimeError("something went wrong")
    outer.__cause__ = error
    assert explain_failure(outer) == code
    assert explain_failure(error) == code


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            OSError(13, "Permission denied", "/home/me/.cache/huggingface/a"),
            "PermissionError: see the log of TensorBoard",
        ),
        (RuntimeError(r"bad file C:\Users\me\a.bin"), "RuntimeError: see the log of TensorBoard"),
        (ValueError("x" * 1000), "ValueError: see the log of TensorBoard"),
        (ValueError("there is no such tag"), "ValueError: there is no such tag"),
        (ModuleNotFoundError("No module named 'ftfy'", name="ftfy"), "the module ftfy is missing"),
        (ImportError("cannot import a from b (/opt/b.py)"), "ImportError: see the log of TensorBoard"),
        (MemoryError(), "it needs more than half of this machine's memory"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
            "it needs more than half of this machine's memory",
        ),
    ],
)
def test_no_path_of_this_machine_is_told(error: Exception, told: str) -> None:
    assert describe_failure(error) == told


def test_the_worker_takes_half_of_the_memory_at_most() -> None:
    code = (
        "import resource\n"
        "from conceptmon_tb.plugin.encoder_worker import describe_failure, limit_memory; limit_memory()\n"
        "limit = resource.getrlimit(resource.RLIMIT_DATA)[0]\n"
        "try: bytearray(limit)\n"
        "except MemoryError as error: print(limit, describe_failure(error))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    limit, said = done.stdout.strip().split(" ", 1)
    assert abs(int(limit) - psutil.virtual_memory().total // 2) < 1 << 20
    assert said == "it needs more than half of this machine's memory"


def test_the_worker_reaches_no_network() -> None:
    code = (
        "import urllib.request\n"
        "from conceptmon_tb.plugin.encoder_worker import close_network; close_network()\n"
        "try: urllib.request.urlopen('http://127.0.0.1:9/')\n"
        "except OSError as error: print(type(getattr(error, 'reason', error)).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "NetworkClosedError"
