"""The metric against transformers' own pipeline, and the layouts that checkpoints come in; encoders are random."""

import json
import logging
import math
import warnings

import numpy as np
import pytest
import torch
from attrs import evolve
from PIL import Image
from pshead_metrics_clip_similarity.config import ClipSimilarityConfig
from pshead_metrics_clip_similarity.encoder import input_of, load_encoder
from pshead_metrics_clip_similarity.metric import build
from pshead_metrics_clip_similarity.toy import SIDE_PX, VISION, toy_encoder, toy_folder
from transformers import CLIPConfig, CLIPImageProcessor, CLIPImageProcessorPil, CLIPModel

from pshead_core.api import PsheadError
from pshead_core.models.catalogue import CATALOGUE
from pshead_core.models.choose import choose_files
from pshead_core.models.hub import HubFile
from pshead_core.models.pulled import Pulled, published_folder, write_record
from pshead_core.testing import tiny_context, tiny_views
from training.ground_truth import load_ground_truth

OTHER = {"crop_size": 56, "size": 56, "resample": 2, "image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]}


def ring_of(head, side_px=256):
    """Views of a ground-truth head over white, rounded to 8 bits, so that the library can be given the same."""
    rgba = torch.from_numpy(head.rgba)[::6].float() / 255
    rgb = ((rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]) * 255).round() / 255
    views = tiny_views(len(rgb), side_px=rgb.shape[1])
    return evolve(views, rgb=rgb), evolve(tiny_views(1, view_set="reference"), rgb=rgb[:1])


@pytest.fixture(params=["own", "other"])
def folder(request, tmp_path):
    toy_encoder(seed=5).save_pretrained(tmp_path / "clip")
    if request.param == "other":
        (tmp_path / "clip" / "preprocessor_config.json").write_text(json.dumps(OTHER))
    return tmp_path / "clip"


def processors(folder):
    """The library's own, once with Pillow and once with torchvision."""
    if (folder / "preprocessor_config.json").is_file():
        return [kind.from_pretrained(folder) for kind in (CLIPImageProcessorPil, CLIPImageProcessor)]
    size = {"size": {"shortest_edge": SIDE_PX}, "crop_size": {"height": SIDE_PX, "width": SIDE_PX}}
    return [kind(**size) for kind in (CLIPImageProcessorPil, CLIPImageProcessor)]


@pytest.mark.parametrize("chunk_views", [2, 100])
def test_equals_the_librarys_pipeline(folder, tmp_path, chunk_views):
    """8-bit pictures in, cosine out. The library rounds resized pictures to 8 bits, so the cosines differ a little."""
    views, photo = ring_of(load_ground_truth()[0])
    config = ClipSimilarityConfig(checkpoint=str(folder), chunk_views=chunk_views)
    found = build(config, tiny_context(tmp_path)).measure(views, photo)["clip_similarity"]
    pictures = [Image.fromarray((rgb * 255).round().byte().numpy()) for rgb in (*views.rgb, photo.rgb[0])]
    for processor in processors(folder):
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels = processor(images=pictures, return_tensors="pt").pixel_values
            embedded = toy_encoder(seed=5)(pixel_values=pixels).image_embeds
        cosine = torch.nn.functional.cosine_similarity(embedded[:-1], embedded[-1:])
        assert found == pytest.approx(float(cosine.mean()), abs=5e-4), (found, float(cosine.mean()))
        assert float(cosine.min()) < 0.95


def test_the_photo_is_like_itself_and_other_heads_less(tmp_path):
    heads = load_ground_truth()
    metric = build(ClipSimilarityConfig(checkpoint=str(toy_folder())), tiny_context(tmp_path))
    _, photo = ring_of(heads[0])
    assert metric.measure(photo, photo)["clip_similarity"] == pytest.approx(1, abs=1e-6)
    for head in heads[1:4]:
        assert metric.measure(ring_of(head)[1], photo)["clip_similarity"] < 0.999


def test_degenerate_pictures(tmp_path):
    metric = build(ClipSimilarityConfig(checkpoint=str(toy_folder())), tiny_context(tmp_path))
    views, photo = tiny_views(3), tiny_views(1, side_px=64, view_set="reference")
    black = evolve(views, rgb=torch.zeros_like(views.rgb))
    assert -1 <= metric.measure(black, photo)["clip_similarity"] < 0.99
    assert metric.measure(black, evolve(photo, rgb=photo.rgb * 0))["clip_similarity"] == pytest.approx(1, abs=1e-6)
    bad = evolve(views, rgb=views.rgb * math.nan)
    for arguments, words in (((bad, photo), "not finite"), ((views, views), "one refer"), ((views, None), "reference")):
        with pytest.raises(PsheadError, match=words):
            metric.measure(*arguments)


def test_a_whole_clip_gives_its_picture_encoder(tmp_path, caplog):
    """As `openai/clip-vit-large-patch14` is published; the width of the embedding stands at the top only."""
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = {**VISION, "image_size": SIDE_PX, "patch_size": 14}
    config = CLIPConfig(text_config={**text, "vocab_size": 50}, vision_config=vision, projection_dim=24)
    with torch.random.fork_rng(devices=[]):
        whole = CLIPModel(config).eval()
    whole.save_pretrained(tmp_path)
    pixels = torch.randn(2, 3, SIDE_PX, SIDE_PX, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = load_encoder(tmp_path).eval()(pixel_values=pixels).image_embeds
        wanted = whole.get_image_features(pixel_values=pixels).pooler_output
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
    assert "UNEXPECTED" not in caplog.text
    assert input_of(tmp_path).side_px == SIDE_PX


def test_files_in_parts_load_and_foreign_ones_are_refused(tmp_path):
    toy_encoder().save_pretrained(tmp_path / "parts", max_shard_size="20KB")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    name, wanted = "visual_projection.weight", toy_encoder().state_dict()["visual_projection.weight"]
    torch.testing.assert_close(load_encoder(tmp_path / "parts").state_dict()[name], wanted)
    toy_encoder().vision_model.save_pretrained(tmp_path / "foreign")
    with pytest.raises(PsheadError, match="no picture encoder of CLIP"):
        build(ClipSimilarityConfig(checkpoint=str(tmp_path / "foreign")), tiny_context(tmp_path))


def test_published_names_are_found_where_pull_leaves_them(tmp_path, monkeypatch, caplog):
    """Folders as `pshead models pull` leaves them, with a toy in place of the encoder."""
    monkeypatch.setenv("PSHEAD_MODELS", str(tmp_path))
    for name in ("clip-vit-bigg-14", "clip-vit-large-patch14"):
        entry = CATALOGUE[name]
        config = ClipSimilarityConfig(checkpoint=name)
        assert config.checkpoints() == (name,)
        with pytest.raises(PsheadError, match=f"the weights '{name}' are not here") as caught:
            build(config, tiny_context(tmp_path / "cache"))
        assert f"pshead models pull {name}" in str(caught.value)
        places = dict(entry.components)
        toy_encoder().save_pretrained(published_folder(entry) / places["model"])
        record = {field: getattr(entry, field) for field in ("name", "repo", "revision", "licence")}
        write_record(published_folder(entry), Pulled(**record, components=places))
        with caplog.at_level(logging.INFO):
            metric = build(config, tiny_context(tmp_path / "cache"))
        assert f"by {name}; values by other models do not compare" in caplog.text
        views = tiny_views(2)
        assert np.isfinite(metric.measure(views, tiny_views(1))["clip_similarity"])
    assert ClipSimilarityConfig().checkpoint == "clip-vit-bigg-14"


def test_pull_takes_the_encoder_and_leaves_the_rest():
    """The files of the two repositories as far as they matter; pickles lie beside safetensors."""
    folders = {
        "clip-vit-bigg-14": ("sdxl_models/image_encoder/", "models/image_encoder/", "sdxl_models/"),
        "clip-vit-large-patch14": ("",),
    }
    names = ("config.json", "model.safetensors", "pytorch_model.bin")
    for name, places in folders.items():
        files = [HubFile(path=place + file, size_bytes=1) for place in places for file in names]
        entry = CATALOGUE[name]
        choice = choose_files(entry.repo, files, [place for _, place in entry.components])
        assert sorted(choice.files.values()) == [places[0] + file for file in names[:2]]
        assert not choice.pickles
