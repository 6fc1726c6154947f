"""One heap for all threads of TensorBoard's process, in real processes with real threads."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")

# glibc itself tells, as XML, how many heaps there are while eight threads hold memory.
COUNT = """
import ctypes, sys, tempfile, threading
{before}
from conceptmon_tb.plugin.heap import give_back_memory, share_heap
print(share_heap())
libc, all_hold, counted = ctypes.CDLL(None), threading.Barrier(9), threading.Event()
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
def hold():
    held = libc.malloc(100_000)
    all_hold.wait()
    counted.wait()
    libc.free(ctypes.c_void_p(held))
threads = [threading.Thread(target=hold) for _ in range(8)]
for thread in threads:
    thread.start()
all_hold.wait()
with tempfile.NamedTemporaryFile() as told:
    stream = ctypes.c_void_p(libc.fopen(told.name.encode(), b"w"))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    print(told.read().count(b"<heap nr="))
counted.set()
for thread in threads:
    thread.join()
give_back_memory()
"""


def count_heaps(before: str = "", **environment: str) -> tuple[str, int]:
    """What `share_heap` said in a new process, and how many heaps eight threads then had."""
    ours = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    command = [sys.executable, "-c", COUNT.format(before=before)]
    done = subprocess.run(command, env={**ours, **environment}, capture_output=True, text=True, check=True)
    said, heaps = done.stdout.split()
    return said, int(heaps)


def test_threads_share_one_heap() -> None:
    assert count_heaps() == ("True", 1)


def test_a_process_with_torch_keeps_its_heaps() -> None:
    """It may be a training that serves its own TensorBoard."""
    said, heaps = count_heaps("import types; sys.modules['torch'] = types.ModuleType('torch')")
    assert said == "False"
    assert heaps > 1


def test_the_users_own_choice_stays() -> None:
    assert count_heaps(MALLOC_ARENA_MAX="2") == ("False", 2)
