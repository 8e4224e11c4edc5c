"""BLIP's visual question answering, loaded from a folder in its published layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor
from transformers import BertTokenizer, BlipForQuestionAnswering, BlipImageProcessor

from pshead_analyzers_blip.quiet import without_bars
from pshead_core.api import PluginError

MAX_ANSWER_TOKENS = 8
"""The longest answer in the tables has four word pieces; a random or confused network must end, too."""
CODES = 2
"""Tokens that the network has beyond its tokenizer's: the ones that begin an answer and a caption."""


@frozen(kw_only=True, eq=False)
class Answerer:
    """The loaded network with its preprocessing."""

    model: BlipForQuestionAnswering
    tokenizer: BertTokenizer
    pictures: BlipImageProcessor

    def answer(self, rgb: NDArray[np.uint8], questions: Sequence[str]) -> tuple[str, ...]:
        """Return one answer per question, in lower case.

        The picture is encoded once. Questions of equally many tokens are answered in one batch, because BLIP's decoder
        does read what pads a shorter one.

        Args:
            rgb: `[height, width, 3]`.
            questions: in lower case.
        """
        # a copy: the photo is read-only, which torch warns about
        pixels = self.pictures(images=rgb.copy(), return_tensors="pt").pixel_values
        tokens = [self.tokenizer(question).input_ids for question in questions]
        answers = [""] * len(questions)
        with torch.inference_mode():
            seen = self.model.vision_model(pixel_values=pixels).last_hidden_state
            for length in sorted({len(asked) for asked in tokens}):
                rows = [row for row, asked in enumerate(tokens) if len(asked) == length]
                said = self._said(torch.tensor([tokens[row] for row in rows]), seen)
                for row, answer in zip(rows, self.tokenizer.batch_decode(said, skip_special_tokens=True), strict=True):
                    answers[row] = answer.strip()
        return tuple(answers)

    def _said(self, asked: Tensor, seen: Tensor) -> Tensor:
        """Return the tokens of the likeliest answers, `[question, token]`, chosen token by token without drawing.

        Args:
            asked: `[question, token]`, without padding.
            seen: `[1, patch, width]`.
        """
        config = self.model.config.text_config
        understood = self.model.text_encoder(
            input_ids=asked,
            attention_mask=torch.ones_like(asked),
            encoder_hidden_states=seen.expand(len(asked), -1, -1),
            encoder_attention_mask=torch.ones(len(asked), seen.shape[1], dtype=torch.long),
        ).last_hidden_state
        tokens: Tensor = self.model.text_decoder.generate(
            input_ids=torch.full((len(asked), 1), config.bos_token_id),
            eos_token_id=config.sep_token_id,
            pad_token_id=config.pad_token_id,
            encoder_hidden_states=understood,
            encoder_attention_mask=torch.ones_like(asked),
            max_new_tokens=MAX_ANSWER_TOKENS,
            do_sample=False,
            num_beams=1,
        )
        return tokens[:, 1:]  # without the token that begins an answer


def load_answerer(folder: Path) -> Answerer:
    """Return the network of a folder, float32, on the CPU.

    Raises:
        PluginError: the folder has another layout, or its files do not load.
    """
    try:
        with without_bars():
            model = BlipForQuestionAnswering.from_pretrained(
                folder, use_safetensors=True, local_files_only=True, dtype=torch.float32
            ).eval()
        tokenizer = BertTokenizer.from_pretrained(folder, local_files_only=True)
        pictures = BlipImageProcessor.from_pretrained(folder, local_files_only=True)
        if len(tokenizer) < model.config.text_config.vocab_size - CODES:
            raise ValueError(f"the tokenizer knows {len(tokenizer)} tokens only; its files are missing or others'")
        return Answerer(model=model, tokenizer=tokenizer, pictures=pictures)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise PluginError(
            f"blip cannot load its weights from {folder}",
            why=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}",
            fix="give a folder in the layout of Salesforce/blip-vqa-base: config.json, model.safetensors,"
            " preprocessor_config.json and the tokenizer's files",
        ) from error
