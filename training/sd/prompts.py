"""Prompts of the training: captions with view words, in varied lengths, as token ids."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from attrs import frozen
from torch import Tensor
from transformers import CLIPTokenizer

from training.heads.attributes import VIEW_WORDS, view_word
from training.sd.tokens import MOST_TOKENS

EMPTY_SHARE, NO_VIEW_SHARE = 0.10, 0.05
"""Of the prompts that are empty (for guidance without a classifier, J. Ho and T. Salimans, arXiv 2207.12598), or lack
the view word."""
SHORTENED_SHARE, DROP_SHARE = 1 / 3, 0.5
"""Of the prompts that lose clauses, and of the clauses that these lose; the first one stays."""
Clause = tuple[int, ...]


@frozen(kw_only=True)
class Prompts:
    """Token ids of all captions, clause by clause: what stands between commas."""

    clauses: tuple[tuple[Clause, ...], ...]
    """Per head."""
    views: dict[str, Clause]
    """By view word."""
    comma: int
    first: int
    last: int
    """Ends a prompt and fills it up."""

    def ids(self, clauses: Sequence[Clause]) -> Tensor:
        """Return `[77]`: the ids of these clauses with commas between them."""
        inside: list[int] = []
        for clause in clauses:
            inside += [self.comma, *clause] if inside else clause
        whole = [self.first, *inside[: MOST_TOKENS - 2], self.last]
        return torch.tensor(whole + [self.last] * (MOST_TOKENS - len(whole)))


def read_prompts(captions: Sequence[str], tokenizer: CLIPTokenizer) -> Prompts:
    """Return the token ids of captions without view words; every clause is encoded once."""
    known: dict[str, Clause] = {}

    def encoded(clause: str) -> Clause:
        if clause not in known:
            known[clause] = tuple(tokenizer(clause, add_special_tokens=False).input_ids)
        return known[clause]

    return Prompts(
        clauses=tuple(tuple(encoded(clause) for clause in words.split(", ")) for words in captions),
        views={word: encoded(word) for word in VIEW_WORDS},
        comma=encoded(",")[0],
        first=tokenizer.bos_token_id,
        last=tokenizer.eos_token_id,
    )


def prompt_ids(captions: Sequence[str], tokenizer: CLIPTokenizer) -> Tensor:
    """Return `[prompt, 77]`: the ids of whole prompts, as the published pipelines encode them."""
    return tokenizer(
        list(captions), padding="max_length", max_length=MOST_TOKENS, truncation=True, return_tensors="pt"
    ).input_ids


def draw_prompts(prompts: Prompts, head: Tensor, azimuth_deg: Tensor, generator: torch.Generator) -> Tensor:
    """Return `[sample, 77]`: the ids of a random prompt for each sample.

    Args:
        prompts: of all heads.
        head: `[sample]`, index of each sample's head.
        azimuth_deg: `[sample]`, of the views.
        generator: of the step.
    """
    count, most = len(head), max(map(len, prompts.clauses))
    kind = torch.rand(count, generator=generator)
    shortened = torch.rand(count, generator=generator) < SHORTENED_SHARE
    dropped = (torch.rand(count, most, generator=generator) < DROP_SHARE) & shortened[:, None]
    rows = []
    for sample in range(count):
        whole = prompts.clauses[int(head[sample])]
        kept = [clause for place, clause in enumerate(whole) if place == 0 or not dropped[sample, place]]
        if kind[sample] < EMPTY_SHARE:
            kept = []
        elif kind[sample] >= EMPTY_SHARE + NO_VIEW_SHARE:
            kept.append(prompts.views[view_word(float(azimuth_deg[sample]))])
        rows.append(prompts.ids(kept))
    return torch.stack(rows)
