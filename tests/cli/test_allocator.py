"""Memory that is freed stays with the process: asked in a process of its own, by the page faults of equal tensors."""

import platform
import subprocess
import sys

import pytest

_COUNT_FAULTS = """
import resource, sys
from pshead_core.cli.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
import torch
torch.set_num_threads(1)
def ask():
    for _ in range(20):
        torch.ones(12_000_000)
ask()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
ask()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(word: str) -> int:
    done = subprocess.run([sys.executable, "-c", _COUNT_FAULTS, word], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the switch")
def test_freed_tensors_are_not_given_back_to_the_system():
    assert _faults("keep") < _faults("default") / 10
