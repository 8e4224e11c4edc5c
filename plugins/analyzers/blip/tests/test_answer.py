"""The network around the tables: the published layout, the batch against the library's own generation, messages."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from attrs import evolve
from pshead_analyzers_blip import analyzer as heavy
from pshead_analyzers_blip import answer as network
from pshead_analyzers_blip.analyzer import Blip, build
from pshead_analyzers_blip.config import BlipAnalyzerConfig
from pshead_analyzers_blip.questions import QUESTIONS
from pshead_analyzers_blip.twin import write_twin
from pshead_analyzers_blip.words import prompt_words
from safetensors.torch import load_file, save_file
from transformers import BlipConfig, BlipForQuestionAnswering

from pshead_core.errors import PluginError, PsheadError
from pshead_core.testing.scenes import tiny_photo

TEXTS = [question.text for question in QUESTIONS]
PUBLISHED_TEXT = {  # config.json of Salesforce/blip-vqa-base
    "vocab_size": 30524, "hidden_size": 768, "encoder_hidden_size": 768, "intermediate_size": 3072,
    "projection_dim": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "max_position_embeddings": 512,
    "hidden_act": "gelu", "bos_token_id": 30522, "eos_token_id": 2, "pad_token_id": 0, "sep_token_id": 102,
}  # fmt: skip
PUBLISHED_VISION = {
    "hidden_size": 768, "intermediate_size": 3072, "projection_dim": 512, "num_hidden_layers": 12,
    "num_attention_heads": 12, "image_size": 384, "patch_size": 16, "hidden_act": "gelu",
}  # fmt: skip
PUBLISHED_PICTURES = {
    "do_normalize": True, "do_rescale": True, "do_resize": True, "resample": 3, "rescale_factor": 1 / 255,
    "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
    "image_processor_type": "BlipImageProcessor", "processor_class": "BlipProcessor",
}  # fmt: skip


@pytest.fixture(scope="module")
def twin(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("twin")
    write_twin(folder)
    return folder


@pytest.fixture(scope="module")
def answerer(twin) -> network.Answerer:
    return network.load_answerer(twin)


def pictures(count: int) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (40 + 8 * index, 48, 3), dtype=np.uint8) for index in range(count)]


def test_read_only_photo_is_read(answerer):
    """A decoded photo is read-only: the answer is that of a writable copy, without a warning."""
    (picture,) = pictures(1)
    locked = picture.copy()
    locked.flags.writeable = False
    assert answerer.answer(locked, TEXTS[:2]) == answerer.answer(picture, TEXTS[:2])


def test_published_architecture_has_the_published_size():
    config = BlipConfig(text_config=PUBLISHED_TEXT, vision_config=PUBLISHED_VISION, projection_dim=512)
    with torch.device("meta"):
        model = BlipForQuestionAnswering(config)
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e6 == pytest.approx(361, abs=1)


def test_batch_answers_as_the_library_one_by_one(answerer):
    """The oracle is the library's `generate` with one question: no padding, its own picture encoding."""
    distinct = set()
    for rgb in pictures(3):
        pixels = answerer.pictures(images=rgb, return_tensors="pt").pixel_values
        alone = []
        for text in TEXTS:
            words = answerer.tokenizer(text, return_tensors="pt")
            tokens = answerer.model.generate(
                words.input_ids,
                pixels,
                attention_mask=words.attention_mask,
                max_new_tokens=network.MAX_ANSWER_TOKENS,
                do_sample=False,
            )
            alone.append(answerer.tokenizer.decode(tokens[0, 1:], skip_special_tokens=True).strip())
        assert list(answerer.answer(rgb, TEXTS)) == alone
        distinct |= set(alone)
    assert len(distinct) > 3  # the twin must tell questions or pictures apart for this to mean anything


def test_picture_is_encoded_once_for_all_questions(answerer, monkeypatch):
    calls = []
    forward = answerer.model.vision_model.forward
    monkeypatch.setattr(
        answerer.model.vision_model,
        "forward",
        lambda *a, **k: calls.append(k["pixel_values"].shape) or forward(*a, **k),
    )
    answers = answerer.answer(pictures(1)[0], TEXTS)
    assert len(answers) == len(TEXTS)
    assert calls == [(1, 3, 32, 32)]


def test_answers_of_a_photo_become_its_words(twin, monkeypatch):
    asked = []

    def answer(_, rgb, questions):
        asked.append((rgb, list(questions)))
        return ["woman", *["no"] * (len(questions) - 1)]

    monkeypatch.setattr(network.Answerer, "answer", answer)
    photo = tiny_photo()
    facts = build(BlipAnalyzerConfig(checkpoint=str(twin))).analyze(photo)
    assert (facts.prompt_words, facts.matte, facts.faces) == (("woman",), None, None)
    assert [texts for _, texts in asked] == [TEXTS]
    assert asked[0][0] is photo.rgb


def test_transparent_pixels_are_white(twin, monkeypatch):
    seen = []
    monkeypatch.setattr(network.Answerer, "answer", lambda _, rgb, texts: seen.append(rgb) or ["no"] * len(texts))
    photo = tiny_photo()
    alpha = np.zeros(photo.rgb.shape[:2], np.float32)
    alpha[:10] = 1.0
    Blip(twin).analyze(evolve(photo, alpha=alpha))
    np.testing.assert_array_equal(seen[0][:10], photo.rgb[:10])
    assert (seen[0][10:] == 255).all()


def published_copy(twin: Path, folder: Path) -> Path:
    """Files as older libraries wrote them: vocab.txt, plain tokenizer settings, buffers among the weights."""
    folder.mkdir()
    shutil.copy(twin / "config.json", folder)
    tensors = load_file(twin / "model.safetensors")
    for part in ("text_encoder", "text_decoder.bert"):
        tensors[f"{part}.embeddings.position_ids"] = torch.arange(64)[None]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    vocabulary = json.loads((twin / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.get)) + "\n")
    special = {"cls_token": "[CLS]", "mask_token": "[MASK]", "pad_token": "[PAD]", "sep_token": "[SEP]"}
    settings = special | {"unk_token": "[UNK]", "do_lower_case": True, "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"tokenizer_class": "BertTokenizer"}))
    sized = PUBLISHED_PICTURES | {"size": {"height": 32, "width": 32}}
    (folder / "preprocessor_config.json").write_text(json.dumps(sized))
    return folder


def test_published_layout_loads_and_answers_alike(twin, answerer, tmp_path):
    loaded = network.load_answerer(published_copy(twin, tmp_path / "published"))
    rgb = pictures(1)[0]
    assert loaded.answer(rgb, TEXTS) == answerer.answer(rgb, TEXTS)
    state, wanted = loaded.model.state_dict(), answerer.model.state_dict()
    assert all(torch.equal(state[name], wanted[name]) for name in wanted)


def test_words_of_the_twin_are_the_tables(twin, answerer):
    photo = tiny_photo()
    assert Blip(twin).analyze(photo).prompt_words == prompt_words(answerer.answer(photo.rgb, TEXTS))


def test_missing_weights_name_the_command_and_the_alternative(tmp_path, monkeypatch):
    monkeypatch.setenv("PSHEAD_MODELS", str(tmp_path))
    with pytest.raises(PsheadError) as caught:
        build(BlipAnalyzerConfig())
    assert "Salesforce/blip-vqa-base" in caught.value.what
    assert "BSD-3-Clause" in caught.value.what
    assert "pshead models pull blip-vqa" in caught.value.fix
    assert "--portrait.prompt" in caught.value.fix
    assert heavy.BY_HAND in caught.value.fix


@pytest.mark.parametrize("damage", ["model.safetensors", "vocabulary", "preprocessor_config.json"])
def test_incomplete_folder_is_refused(twin, tmp_path, damage):
    folder = Path(shutil.copytree(twin, tmp_path / "damaged"))
    for path in folder.iterdir():
        if path.name == damage or (damage == "vocabulary" and path.name.startswith("tokenizer")):
            path.unlink()
    with pytest.raises(PluginError) as caught:
        Blip(folder).analyze(tiny_photo())
    assert str(folder) in caught.value.what
    assert "blip-vqa-base" in caught.value.fix


def test_checkpoint_is_named_to_the_core():
    assert BlipAnalyzerConfig(checkpoint="x").checkpoints() == ("x",)
