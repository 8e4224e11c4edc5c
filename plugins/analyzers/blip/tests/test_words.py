"""Answers become the words of the captions, and nothing else does."""

from __future__ import annotations

import pytest
from pshead_analyzers_blip.questions import QUESTIONS
from pshead_analyzers_blip.words import known_word, prompt_words

from training.heads.attributes import HeadAttributes, caption
from training.heads.makehuman.cloth import WORDS as MAKEHUMAN_GARMENTS
from training.heads.makehuman.hair import STYLE_WORDS
from training.heads.palette import CLOTH, HAIR, SKIN
from training.heads.sdf.build import BEARD_WORDS, GARMENT_WORDS
from training.heads.sdf.shape import HAIR_STYLES

TOPICS = [question.topic for question in QUESTIONS]


def words(**said: str) -> tuple[str, ...]:
    """The words of some answers, by topic; all others are nonsense."""
    by_topic = {topic.replace("_", " "): answer for topic, answer in said.items()}
    assert by_topic.keys() <= set(TOPICS)
    return prompt_words([by_topic.get(topic, "giraffe") for topic in TOPICS])


def attributes(**changed: object) -> HeadAttributes:
    plain = {"person": "man", "skin": "light", "hair_style": "short", "hair_colour": "brown", "beard": None}
    plain |= {"hat": None, "hat_colour": None, "glasses": None, "garment": "shirt", "garment_colour": "green"}
    return HeadAttributes(**(plain | changed))


PLAIN = {"sex": "man", "skin": "white", "hair_colour": "brown", "hair_style": "short", "garment": "shirt"}
PLAIN |= {"garment_colour": "green"}
CASES = [
    (PLAIN, {}),
    (PLAIN | {"sex": "Woman", "hair_style": "pony tail"}, {"person": "woman", "hair_style": "ponytail"}),
    (PLAIN | {"sex": "male", "child": "yes", "beard": "yes"}, {"person": "boy"}),
    (PLAIN | {"sex": "female", "old": "yes", "hair_colour": "gray"}, {"person": "old woman", "hair_colour": "grey"}),
    (PLAIN | {"bald": "yes", "beard": "yes", "moustache": "yes"}, {"hair_style": None, "beard": "beard"}),
    (PLAIN | {"beard": "no", "moustache": "yes"}, {"beard": "moustache"}),
    (PLAIN | {"sex": "woman", "beard": "yes"}, {"person": "woman"}),
    (PLAIN | {"glasses": "yes", "smile": "yes"}, {"glasses": "glasses", "expression": "smiling"}),
    (PLAIN | {"glasses": "yes", "sunglasses": "yes"}, {"glasses": "sunglasses"}),
    (
        PLAIN | {"hat": "yes", "hat_kind": "baseball cap", "hat_colour": "navy blue"},
        {"hat": "cap", "hat_colour": "dark blue"},
    ),
    (PLAIN | {"hat": "yes", "hat_colour": "red"}, {"hat": "hat", "hat_colour": "red"}),
    (PLAIN | {"hat": "no", "hat_kind": "cap", "hat_colour": "red"}, {}),
    (
        PLAIN | {"garment": "suit and tie", "garment_colour": "black and white", "striped": "yes"},
        {"garment": "suit", "garment_colour": "black", "striped": True},
    ),
    (PLAIN | {"hair_style": "straight", "hair_length": "long"}, {"hair_style": "long"}),
]


@pytest.mark.parametrize(("said", "shown"), CASES)
def test_words_join_to_the_caption_of_such_a_head(said, shown):
    """The oracle is the function that captioned the training pictures."""
    head = attributes(**shown)
    article = "an" if head.person[0] in "aeiou" else "a"
    assert f"photo of {article} {', '.join(words(**said))}" == caption(head)


def test_unknown_answers_are_dropped():
    assert words() == ("person",)
    assert words(sex="alien", hair_colour="rainbow", hair_style="short", garment_colour="red") == (
        "person",
        "short hair",
    )


def test_every_word_stands_in_the_captions():
    style = {*HAIR_STYLES, *STYLE_WORDS.values()}
    garment = {*GARMENT_WORDS.values(), *MAKEHUMAN_GARMENTS.values()}
    colour = {named.name for named in CLOTH}
    vocabulary = {
        "sex": {"man", "woman", "boy", "girl"},
        "skin": {named.name for named in SKIN},
        "hair colour": {named.name for named in HAIR},
        "hair style": style,
        "hair length": style,
        "hat kind": {"fedora", "cap", "beanie", "headscarf"},
        "hat colour": colour,
        "garment": garment,
        "garment colour": colour,
    }
    for question in QUESTIONS:
        assert set(question.words.values()) <= vocabulary.get(question.topic, {"yes", "no"}), question.topic
    assert {"beard", "moustache"} <= set(BEARD_WORDS)


def test_questions_are_asked_once_and_in_the_tokenizers_case():
    texts = [question.text for question in QUESTIONS]
    assert len(set(texts)) == len(texts) == len(set(TOPICS))
    assert all(text == text.lower() and text.endswith("?") for text in texts)


@pytest.mark.parametrize(
    ("answer", "word"),
    [("BLUE", "blue"), (" blue. ", "blue"), ("white / blue", "white"), ("t - shirt", None), ("bluewhite", None)],
)
def test_spelling_of_answers(answer, word):
    colours = next(question for question in QUESTIONS if question.topic == "garment colour")
    assert known_word(colours, answer) == word


def test_word_pieces_of_a_hyphen_are_joined():
    """BERT's tokenizer splits at hyphens and writes them back with blanks."""
    garments = next(question for question in QUESTIONS if question.topic == "garment")
    assert known_word(garments, "t - shirt") == "t-shirt"
