"""What tests of whole runs share: the command as a process, and the numbers of a run folder."""

import json
import sys

from safetensors.numpy import load_file

PROGRAM = [sys.executable, "-c", "from pshead_core.cli.main import run_and_exit; run_and_exit()"]


def numbers(folder):
    """What a run computed: every line of the report without its times, and the last checkpoint's tensors."""
    lines = [json.loads(line) for line in (folder / "report.jsonl").read_text().splitlines()]
    for line in lines:
        del line["seconds"]
        for slot in line["slots"]:
            del slot["seconds"]
    tensors = load_file(folder / "checkpoint.safetensors")
    return lines, {name: tensor.tobytes() for name, tensor in tensors.items()}
