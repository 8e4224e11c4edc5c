"""Prompts as text: token, class, views."""

import pytest
from pshead_guidance_personalized_sd.config import PersonaliseSettings, PersonalizedSdConfig, PromptSettings
from pshead_guidance_personalized_sd.model import wording
from pshead_guidance_personalized_sd.prompts import NEUTRAL, plain_prompt, view_of, with_token

WOMAN = "photo of a woman, short brown hair"


@pytest.mark.parametrize(
    ("plain", "named"),
    [
        (WOMAN, "photo of a sks woman, short brown hair"),
        ("photo of an old man, beard", "photo of a sks old man, beard"),
        ("Photo of the man", "Photo of the sks man"),
        ("woman, a red hat", "sks woman, a red hat"),
        ("portrait of Ada", "portrait of sks Ada"),
        ("photo of a sks woman, hat", "photo of a sks woman, hat"),
    ],
)
def test_token_goes_before_the_noun(plain, named):
    assert with_token(plain, "sks") == named


def test_the_setting_wins_then_the_portrait_then_a_neutral_prompt():
    assert plain_prompt(WOMAN, PromptSettings(text=" a  man ,, hat ")) == "a man, hat"
    assert plain_prompt(WOMAN, PromptSettings()) == WOMAN
    assert plain_prompt(" , ", PromptSettings()) == NEUTRAL


@pytest.mark.parametrize(
    ("azimuth_deg", "view"),
    [
        (0, 0),
        (29.9, 0),
        (-29.9, 0),
        (30, 1),
        (-90, 1),
        (150, 1),
        (150.1, 2),
        (-150.1, 2),
        (180, 2),
        (330.5, 0),
        (200, 2),
    ],
)
def test_view_borders(azimuth_deg, view):
    assert view_of(azimuth_deg, PromptSettings(front_deg=30, back_deg=150)) == view


def test_the_authors_training_prompts():
    train = PersonaliseSettings(words="noun", hold_views=False)
    said = wording(WOMAN, PersonalizedSdConfig(personalise=train))
    assert said.views == tuple(
        f"photo of a sks woman, short brown hair, {view} view" for view in ("front", "side", "back")
    )
    assert said.teaching.person == ("photo of a sks woman, front view",)
    assert said.teaching.others == tuple((f"photo of a woman, {v} view",) * 2 for v in ("front", "side", "back"))


def test_held_views_are_learnt_with_and_without_the_token():
    teaching = wording(WOMAN, PersonalizedSdConfig()).teaching
    assert teaching.person == ("photo of a sks woman, front view", "photo of a sks woman, short brown hair, front view")
    assert len(teaching.others) == 6
    assert [drawn for drawn, learnt in teaching.others if drawn != learnt] == [
        f"{WOMAN}, side view",
        f"{WOMAN}, back view",
    ]
    assert [learnt for drawn, learnt in teaching.others if drawn != learnt] == [
        "photo of a sks woman, short brown hair, side view",
        "photo of a sks woman, short brown hair, back view",
    ]


def test_a_mere_noun_is_not_taught_twice():
    teaching = wording("", PersonalizedSdConfig()).teaching
    assert teaching.person == ("photo of a sks person, front view",)
    assert len(teaching.others) == 3


def test_without_personalisation_there_is_no_token():
    said = wording(WOMAN, PersonalizedSdConfig(personalise=PersonaliseSettings(method="none")))
    assert said.teaching is None
    assert said.views[1] == f"{WOMAN}, side view"
