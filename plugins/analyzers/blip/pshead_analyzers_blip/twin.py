"""A tiny random network in the layout of the published weights, for tests without a download. It knows nothing."""

from __future__ import annotations

import re
import tempfile
from functools import cache
from pathlib import Path

import torch
from transformers import BertTokenizer, BlipConfig, BlipForQuestionAnswering, BlipImageProcessor

from pshead_analyzers_blip.questions import QUESTIONS, Question

SIDE_PX = 32
_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_CODES = ("[DEC]", "[ENC]")
"""Tokens that BLIP puts behind BERT's: the first begins an answer."""
_KEPT: list[tempfile.TemporaryDirectory[str]] = []


@cache
def twin_folder() -> Path:
    """Return the folder of a twin, written once per process and deleted at its end."""
    folder = tempfile.TemporaryDirectory(prefix="pshead-blip-twin-")
    _KEPT.append(folder)
    write_twin(Path(folder.name))
    return Path(folder.name)


def write_twin(folder: Path) -> None:
    """Write a twin: configuration, safetensors, tokenizer and preprocessing."""
    words = sorted({word for question in QUESTIONS for word in re.findall(r"\w+|[^\w\s]", _vocabulary(question))})
    vocabulary = {word: index for index, word in enumerate((*_SPECIALS, *words, *_CODES))}
    config = _config(vocabulary)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = BlipForQuestionAnswering(config)
        for parameter in model.parameters():
            if parameter.ndim > 1:  # the published initialisation is so small that every answer would be the same
                torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    BertTokenizer(vocab=vocabulary).save_pretrained(folder)
    BlipImageProcessor(size={"height": SIDE_PX, "width": SIDE_PX}).save_pretrained(folder)


def _vocabulary(question: Question) -> str:
    return " ".join((question.text, *question.words))


def _config(vocabulary: dict[str, int]) -> BlipConfig:
    text = {
        "vocab_size": len(vocabulary),
        "hidden_size": 16,
        "encoder_hidden_size": 16,
        "intermediate_size": 32,
        "projection_dim": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": 64,
        "bos_token_id": vocabulary["[DEC]"],
        "sep_token_id": vocabulary["[SEP]"],
        "pad_token_id": vocabulary["[PAD]"],
    }
    vision = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": SIDE_PX,
        "patch_size": 8,
    }
    return BlipConfig(text_config=text, vision_config=vision, projection_dim=16)
