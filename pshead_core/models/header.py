"""The header of a safetensors file: names, types and shapes of its tensors, read without torch and without the data.

The format: 8 bytes, little endian, the length of the header; the header, JSON; then the tensors without gaps. See
https://huggingface.co/docs/safetensors.
"""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

from attrs import frozen

from pshead_core.errors import PsheadError

MOST_HEADER_BYTES = 100_000_000
"""The format's own limit; a longer header is garbage read as a length."""
_BYTES = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2}
_BYTES |= {"U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8}
_RESTORE = "restore the file: install the distribution that ships it again, or download or export it again"


@frozen
class TensorFacts:
    """What a header says of one tensor."""

    dtype: str
    """As the format writes it, such as `F16`."""
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """Numbers in the tensor."""
        return prod(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


def read_header(path: Path) -> dict[str, TensorFacts]:
    """Return the tensors of a safetensors file by name.

    Raises:
        PsheadError: the file is truncated, has bytes to spare, or is no safetensors file.
    """
    size = path.stat().st_size
    with path.open("rb") as handle:
        first = handle.read(8)
        length = int.from_bytes(first, "little")
        if len(first) < 8:
            raise _damaged(path, f"it is truncated: it has {size} bytes, less than the smallest header")
        if length > MOST_HEADER_BYTES:
            raise _damaged(path, f"it is no safetensors file: its header would have {length} bytes")
        if length > size - 8:
            raise _damaged(path, f"it is truncated: its header has {length} bytes, {size - 8} are there")
        raw = handle.read(length)
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"its header is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise _damaged(path, f"its header is a {type(header).__name__}, not a table of tensors")
    rows = [(*_row(path, name, entry), name) for name, entry in header.items() if name != "__metadata__"]
    _check_layout(path, [(begin, end, name) for begin, end, _, name in rows], size - 8 - length)
    return {name: facts for _, _, facts, name in sorted(rows, key=lambda row: row[3])}


def _row(path: Path, name: str, entry: Any) -> tuple[int, int, TensorFacts]:
    """Return (begin, end, facts) of one tensor, in bytes behind the header."""
    try:
        facts = TensorFacts(str(entry["dtype"]), tuple(entry["shape"]))
        begin, end = entry["data_offsets"]
        numbers_fit = all(type(number) is int and number >= 0 for number in (*facts.shape, begin, end))
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"the header's line of tensor '{name}' is not of the format") from error
    if not numbers_fit or facts.dtype not in _BYTES or end - begin != facts.count * _BYTES[facts.dtype]:
        raise _damaged(
            path, f"the header's line of tensor '{name}' contradicts itself: {facts} in bytes {begin}..{end}"
        )
    return begin, end, facts


def _check_layout(path: Path, spans: list[tuple[int, int, str]], available: int) -> None:
    """Refuse tensors that overlap or leave gaps, and a file that does not end with its last tensor."""
    position = 0
    for begin, end, name in sorted(spans):
        if begin != position:
            raise _damaged(path, f"tensor '{name}' begins at byte {begin} instead of {position}")
        position = end
    if position > available:
        raise _damaged(path, f"it is truncated: its tensors have {position} bytes, {available} are there")
    if position < available:
        raise _damaged(path, f"{available - position} bytes follow its last tensor")


def _damaged(path: Path, why: str) -> PsheadError:
    return PsheadError(f"the weights {path} are damaged", why=why, fix=_RESTORE)
