"""The metric against insightface's own cosine, and what it says where there is not exactly one face."""

import math
import sys
import warnings

import cv2
import numpy as np
import pytest
import torch
from attrs import evolve
from pshead_guidance_identity.metric import build
from pshead_guidance_identity.metric_config import IdentitySimilarityConfig
from pshead_guidance_identity.toy import toy_folder, toy_recogniser
from skimage.transform import SimilarityTransform

from pshead_core.api import PsheadError
from pshead_core.cameras.camera import project
from pshead_core.portrait.facts import FaceFacts, PortraitFacts
from pshead_core.priors.faces import five_points
from pshead_core.testing import tiny_context, tiny_views
from pshead_core.testing.subject import select

# scikit-image's, about a call of insightface
pytestmark = pytest.mark.filterwarnings("ignore:.*estimate.*:FutureWarning")
SIDE_PX, DETECTION_PX = 256, 640
PUBLISHED_112 = np.array(  # of ArcFace's training crops; counted from the centre of the first pixel
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)


class Told:
    """An analyzer that is told the landmarks `[478, 2]` of all faces in each picture that it will be shown."""

    def __init__(self, *pictures):
        self.pictures = list(pictures)

    def analyze(self, photo):
        scale = photo.rgb.shape[0] / SIDE_PX  # views are enlarged for detection
        flat = [np.pad(points.numpy() * scale, ((0, 0), (0, 1))).astype(np.float32) for points in self.pictures.pop(0)]
        return PortraitFacts(faces=tuple(FaceFacts(landmarks_px=points, box_px=(0, 0, 1, 1)) for points in flat))


@pytest.fixture
def scene(heads, front_views):
    """Return frontal views of a head, rounded to 8 bits, the photo, and the true landmarks of each view."""
    views = front_views(heads[0])
    views = evolve(views, rgb=(views.rgb * 255).round() / 255)
    photo = select(views, slice(4, 5))
    assert float(photo.cameras.azimuth_deg.abs()) == float(views.cameras.azimuth_deg.abs().min())
    pixels, _ = project(torch.from_numpy(heads[0].landmarks), views.cameras)
    return views, photo, list(pixels.float())


def metric_of(tmp_path, analyzers=(), **settings):
    config = IdentitySimilarityConfig(**{"checkpoint": str(toy_folder()), **settings})
    return build(config, evolve(tiny_context(tmp_path), analyzers=tuple(analyzers)))


def near(views):
    return (views.cameras.azimuth_deg.abs() <= 45).nonzero()[:, 0].tolist()


def cosines(one, other):
    return float(np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other))


def bgr(rgb):
    return np.ascontiguousarray((rgb * 255).round().byte().numpy()[..., ::-1])


def export(network, file):
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # dynamo=False goes, but needs no onnxscript
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, 112, 112),),
            str(file),
            dynamo=False,
            opset_version=13,
            input_names=["data"],
            output_names=["out"],
            dynamic_axes={"data": {0: "n"}, "out": {0: "n"}},
        )


def test_equals_insightfaces_cosine(scene, tmp_path):
    """Its alignment (OpenCV, 5 bits), its preprocessing of 8-bit BGR, onnxruntime; the faces are told to both."""
    recognition = pytest.importorskip("insightface.model_zoo.arcface_onnx")
    face_of = pytest.importorskip("insightface.app.common").Face
    export(toy_recogniser(), tmp_path / "recognition.onnx")
    network = recognition.ArcFaceONNX(str(tmp_path / "recognition.onnx"))
    views, photo, landmarks = scene
    seen = near(views)
    assert 5 <= len(seen) < len(views.rgb)

    def embedded(rgb, points):
        face = face_of(kps=five_points(points[None])[0].numpy() - 0.5)  # counted from the centre of the first pixel
        network.get(bgr(rgb), face)
        return face.normed_embedding

    wanted = embedded(photo.rgb[0], landmarks[4])
    each = [cosines(embedded(views.rgb[place], landmarks[place]), wanted) for place in seen]
    metric = metric_of(tmp_path, [Told([landmarks[4]], *([landmarks[place]] for place in seen))])
    found = metric.measure(views, photo)
    assert found == {"identity": pytest.approx(np.mean(each), abs=3e-3), "faces_found_frac": 1.0}
    assert min(each) < 0.9
    assert max(each) == pytest.approx(1, abs=1e-6)  # the photo is one of the views


def test_views_without_exactly_one_face_count_as_0(scene, tmp_path):
    views, photo, landmarks = scene
    seen = near(views)
    told = [[landmarks[place]] for place in seen]
    whole = metric_of(tmp_path, [Told([landmarks[4]], *told)]).measure(views, photo)["identity"]
    alone = [
        metric_of(tmp_path, [Told([landmarks[4]], one)]).measure(select(views, slice(place, place + 1)), photo)
        for place, one in zip(seen, told, strict=True)
    ]
    each = [value["identity"] for value in alone]
    assert whole == pytest.approx(np.mean(each), abs=1e-6)
    told[0], told[1] = [], [landmarks[seen[1]], landmarks[4]]
    found = metric_of(tmp_path, [Told([landmarks[4]], *told)]).measure(views, photo)
    count = len(seen)
    assert found["identity"] == pytest.approx(sum(each[2:]) / count, abs=1e-6)
    assert found["faces_found_frac"] == pytest.approx((count - 2) / count)
    nobody = metric_of(tmp_path, [Told([landmarks[4]], *([] for _ in seen))]).measure(views, photo)
    assert nobody == {"identity": 0.0, "faces_found_frac": 0.0}


def test_what_cannot_be_measured_is_refused(scene, tmp_path):
    views, photo, landmarks = scene
    for told, words in (([], "found no faces in the photo"), ([landmarks[4]] * 2, "found 2 faces in the photo")):
        with pytest.raises(PsheadError, match=words):
            metric_of(tmp_path, [Told(told)]).measure(views, photo)
    with pytest.raises(PsheadError, match="no analyzer looks for faces"):
        metric_of(tmp_path).measure(views, photo)
    with pytest.raises(PsheadError, match="no frontal view"):
        metric_of(tmp_path).measure(tiny_views(3, view_set="back"), photo)
    for bad in (math.nan, math.inf):
        with pytest.raises(PsheadError, match="not finite"):
            metric_of(tmp_path).measure(evolve(views, rgb=views.rgb * bad), photo)
    with pytest.raises(PsheadError, match="one reference view"):
        metric_of(tmp_path).measure(views, views)


def test_worse_views_are_less_like_the_photo(tmp_path):
    """With the analyzer of the conformance checks, whose own order cannot ask for a falling `faces_found_frac`."""
    photo = tiny_views(1, side_px=128, view_set="reference")
    metric = build(IdentitySimilarityConfig(checkpoint=str(toy_folder())), tiny_context(tmp_path))
    noise = torch.randn(photo.rgb.shape, generator=torch.Generator().manual_seed(0))
    same, slight, strong = (
        metric.measure(evolve(photo, rgb=(photo.rgb + amount * noise).clamp(0, 1)), photo)["identity"]
        for amount in (0.0, 0.02, 0.1)
    )
    assert same == pytest.approx(1, abs=1e-6)
    assert same > slight > strong
    for flat in (0.0, 0.5):
        value = metric.measure(evolve(photo, rgb=torch.full_like(photo.rgb, flat)), photo)
        assert value == {"identity": 0.0, "faces_found_frac": 0.0}


def write_detector(file, points_px):
    """Write a detector in SCRFD's layout (9 outputs) that sees a face wherever the middle or the corner is not white.

    Its five points are always the same, in pixels of pictures of SIDE_PX.
    """
    onnx = pytest.importorskip("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    cells, stride = DETECTION_PX // 32, 32
    allowed = np.zeros((1, 1, cells, cells), np.float32)
    allowed[0, 0, cells // 2, cells // 2] = allowed[0, 0, 0, 0] = 1
    columns, rows = np.meshgrid(np.arange(cells), np.arange(cells))
    corner = np.repeat(np.stack([columns, rows], -1).reshape(-1, 1, 2) * stride, 2, 0)  # two anchors each
    wanted = points_px * (DETECTION_PX / SIDE_PX)
    constants = {
        "allowed": allowed,
        "ten": np.float32(10),
        "white": np.float32(0.95),
        "zero": np.float32(0),
        "one": np.float32(1),
        "shape": np.array([-1, 1]),
        "none": np.zeros((cells * cells, 1), np.float32),
        "points32": ((wanted[None] - corner) / stride).reshape(-1, 10).astype(np.float32),
    }
    for size in (8, 16, 32):
        count = 2 * (DETECTION_PX // size) ** 2
        constants |= {f"boxes{size}": np.ones((count, 4), np.float32)}
        if size < 32:
            constants |= {f"scores{size}": np.zeros((count, 1), np.float32)}
            constants |= {f"points{size}": np.zeros((count, 10), np.float32)}
    nodes = [
        helper.make_node("AveragePool", ["data"], ["mean"], kernel_shape=[32, 32], strides=[32, 32]),
        helper.make_node("ReduceMean", ["mean"], ["grey"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["white", "grey"], ["dark"]),
        helper.make_node("Mul", ["dark", "ten"], ["much"]),
        helper.make_node("Clip", ["much", "zero", "one"], ["seen"]),
        helper.make_node("Mul", ["seen", "allowed"], ["here"]),
        helper.make_node("Reshape", ["here", "shape"], ["first"]),
        helper.make_node("Concat", ["first", "none"], ["both"], axis=1),
        helper.make_node("Reshape", ["both", "shape"], ["scores32"]),
    ]
    names = [f"{kind}{size}" for kind in ("scores", "boxes", "points") for size in (8, 16, 32)]
    nodes += [helper.make_node("Identity", [name], [f"out_{name}"]) for name in names]
    float32 = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("data", float32, [1, 3, DETECTION_PX, DETECTION_PX])],
        [helper.make_tensor_value_info(f"out_{name}", float32, None) for name in names],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=9)
    onnx.save(model, str(file))


@pytest.fixture
def pack(scene, tmp_path):
    """A folder as InsightFace's packs are, of a toy recogniser and a toy detector; and its five points."""
    pytest.importorskip("insightface.app")
    folder = tmp_path / "pack"
    folder.mkdir()
    points = five_points(scene[2][4][None])[0].numpy() - 0.5
    export(toy_recogniser(), folder / "recognition.onnx")
    write_detector(folder / "detection.onnx", points)
    return folder, points


def test_insightfaces_pack_measures_as_by_hand(scene, pack, tmp_path):
    """scikit-image's similarity, OpenCV's warp and the recogniser in torch, at the points that the detector says."""
    (views, photo, _), (folder, points) = scene, pack
    move = SimilarityTransform.from_estimate(points, PUBLISHED_112).params[:2]

    def embedded(rgb):
        crop = cv2.warpAffine((rgb * 255).round().byte().numpy(), move, (112, 112))
        given = torch.from_numpy(crop).permute(2, 0, 1)[None].float() / 127.5 - 1
        with torch.no_grad():
            return toy_recogniser()(given)[0].numpy()

    seen = near(views)
    each = [cosines(embedded(views.rgb[place]), embedded(photo.rgb[0])) for place in seen]
    metric = metric_of(tmp_path, checkpoint=str(folder), detector="insightface")
    found = metric.measure(views, photo)
    assert found == {"identity": pytest.approx(np.mean(each), abs=1e-3), "faces_found_frac": 1.0}
    rgb = views.rgb.clone()
    rgb[seen[0]] = 1.0  # nobody
    rgb[seen[1], :16, :16] = 0.0  # somebody in the corner, too
    found = metric.measure(evolve(views, rgb=rgb), photo)
    assert found["identity"] == pytest.approx(sum(each[2:]) / len(seen), abs=1e-3)
    assert found["faces_found_frac"] == pytest.approx(1 - 2 / len(seen))
    with pytest.raises(PsheadError, match="no faces in the photo"):
        metric.measure(views, evolve(photo, rgb=torch.ones_like(photo.rgb)))


def test_packs_that_cannot_be_used_are_refused(pack, tmp_path, monkeypatch):
    folder, _ = pack
    settings = {"checkpoint": str(folder), "detector": "insightface"}
    (folder / "detection.onnx").rename(tmp_path / "detection.onnx")
    with pytest.raises(PsheadError, match="no whole pack of InsightFace") as caught:
        metric_of(tmp_path, **settings)
    assert "no detector; there is: recognition.onnx" in caught.value.why
    with pytest.raises(PsheadError, match="is no folder of a pack"):
        metric_of(tmp_path, checkpoint=str(folder / "recognition.onnx"), detector="insightface")
    (folder / "recognition.onnx").unlink()
    (tmp_path / "detection.onnx").rename(folder / "detection.onnx")
    with pytest.raises(PsheadError, match="no whole pack") as caught:
        metric_of(tmp_path, **settings)
    assert "no recogniser" in caught.value.why
    monkeypatch.setitem(sys.modules, "insightface.app", None)
    with pytest.raises(PsheadError, match="not installed") as caught:
        metric_of(tmp_path, **settings)
    assert "pshead-guidance-identity[insightface]" in caught.value.fix


def test_weights_are_named_and_missing_ones_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PSHEAD_MODELS", str(tmp_path / "none"))
    for detector in ("landmarks", "insightface"):
        config = IdentitySimilarityConfig(detector=detector)
        assert config.checkpoints() == ("auraface",)
        with pytest.raises(PsheadError, match="'auraface' are not here"):
            build(config, tiny_context(tmp_path))
    assert IdentitySimilarityConfig(checkpoint=str(tmp_path)).checkpoints() == ()
