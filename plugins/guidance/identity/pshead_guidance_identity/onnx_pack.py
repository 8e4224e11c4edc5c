"""Recognisers of InsightFace's ONNX packs (buffalo_l, antelopev2, AuraFace), made differentiable by onnx2torch.

A pack holds a detector, landmarks and more beside the recogniser, which is known by its shapes: pictures `[n, 3, 112,
112]` in, one table of embeddings out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from pshead_core.api import PsheadError
from pshead_guidance_identity.iresnet import SIDE_PX

if TYPE_CHECKING:
    import onnx

HALF_RANGE = 127.5
"""Half of 0..255: values in [-1, 1] become pixels by x * 127.5 + 127.5."""
_FIRST_NODES = 8
"""Where a graph normalises its input, it does so among these (the rule of insightface's own reader)."""


class FromUnit(nn.Module):
    """A recogniser that takes pixels 0..255, given values in [-1, 1].

    Args:
        inner: the recogniser.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, faces: Tensor) -> Tensor:
        """Return embeddings of `[n, 3, 112, 112]` in [-1, 1]."""
        found: Tensor = self.inner(faces * HALF_RANGE + HALF_RANGE)
        return found


def recogniser_of(files: Sequence[Path]) -> list[Path]:
    """Return those ONNX files that embed aligned faces of 112 px."""
    return [path for path in files if _is_recogniser(_read(path))]


def load_onnx(file: Path) -> nn.Module:
    """Return the recogniser of an ONNX file as a torch module: faces RGB in [-1, 1], to embeddings.

    Raises:
        PsheadError: onnx2torch is not installed, the file is no recogniser, or holds an operator that cannot be
            converted.
    """
    model = _read(file)
    if not _is_recogniser(model):
        raise PsheadError(
            f"{file} is no recogniser",
            why=f"wanted are pictures [n, 3, {SIDE_PX}, {SIDE_PX}] in and one table of embeddings out",
            fix="name the pack's recogniser, such as glintr100.onnx or w600k_r50.onnx",
        )
    convert, _ = _libraries(file)
    _without_identities(model)
    try:
        network: nn.Module = convert(model)
    except (NotImplementedError, ValueError, KeyError) as error:
        raise PsheadError(
            f"{file} cannot be made differentiable",
            why=f"onnx2torch says: {' '.join(str(error).split())[:200]}",
            fix="use the state dict of arcface_torch, or another export of the recogniser",
        ) from error
    return FromUnit(network) if _normalises(model) else network


def _libraries(file: Path) -> tuple[Any, Any]:
    try:
        import onnx  # noqa: PLC0415 - an optional extra
        from onnx2torch import convert  # type: ignore[import-untyped]  # noqa: PLC0415
    except ImportError as error:
        raise PsheadError(
            f"{file} needs onnx and onnx2torch, which are not installed",
            why=str(error),
            fix="pip install 'pshead-guidance-identity[onnx]', or use the state dict of arcface_torch",
        ) from error
    return convert, onnx


def _read(file: Path) -> onnx.ModelProto:
    _, library = _libraries(file)
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # noqa: PLC0415 - onnx's own

    try:
        model: onnx.ModelProto = library.load(str(file))
    except (DecodeError, OSError) as error:
        raise PsheadError(f"{file} is damaged", why=f"it is not ONNX: {error}", fix="fetch it again") from error
    return model


def _is_recogniser(model: onnx.ModelProto) -> bool:
    """Tell by shapes; older exports list their initialisers among the inputs."""
    graph = model.graph
    own = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in own]
    if len(inputs) != 1 or len(graph.output) != 1:
        return False
    taken = [dim.dim_value for dim in inputs[0].type.tensor_type.shape.dim]
    given = graph.output[0].type.tensor_type.shape.dim
    return taken[1:] == [3, SIDE_PX, SIDE_PX] and len(given) == 2


def _normalises(model: onnx.ModelProto) -> bool:
    """Tell whether the graph subtracts and scales its input itself, so that it takes pixels 0..255.

    insightface asks for nodes *named* Sub and Mul; the operators say the same for every export.
    """
    first = {node.op_type for node in model.graph.node[:_FIRST_NODES]}
    return "Sub" in first and ("Mul" in first or "Div" in first)


def _without_identities(model: onnx.ModelProto) -> None:
    """Take out Identity nodes, which onnx2torch does not know; exporters make them of equal initialisers."""
    graph = model.graph
    kept: list[onnx.NodeProto] = []
    source: dict[str, str] = {}
    given = {value.name for value in graph.output}
    for node in graph.node:
        inputs = [source.get(name, name) for name in node.input]
        del node.input[:]
        node.input.extend(inputs)
        if node.op_type == "Identity" and node.output[0] not in given:
            source[node.output[0]] = node.input[0]
        else:
            kept.append(node)
    nodes = [type(node).FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(nodes)
