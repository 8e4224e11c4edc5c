"""What is asked, and which answers are believed: plain data.

Every word that can come out is one that the captions of the miniature checkpoints use, so that small and large
text-conditioned priors get a prompt that they know. An answer outside these tables is dropped: a wrong word does more
harm than a missing one.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

_YES: Mapping[str, str] = {"yes": "yes", "no": "no"}


@frozen(kw_only=True)
class Question:
    """One question and its vocabulary."""

    topic: str
    text: str
    """In lower case: BLIP's tokenizer knows no capitals."""
    words: Mapping[str, str]
    """Answer to word; answers are compared in lower case."""


_COLOURS = {
    "black": "black", "white": "white", "grey": "grey", "gray": "grey", "silver": "grey", "blue": "blue",
    "dark blue": "dark blue", "navy": "dark blue", "navy blue": "dark blue", "light blue": "light blue",
    "green": "green", "dark green": "dark green", "olive": "dark green", "red": "red", "dark red": "dark red",
    "maroon": "dark red", "burgundy": "dark red", "pink": "pink", "purple": "purple", "violet": "purple",
    "yellow": "yellow", "gold": "yellow", "orange": "orange", "brown": "brown", "beige": "beige", "tan": "beige",
    "cream": "beige", "turquoise": "turquoise", "teal": "turquoise",
}  # fmt: skip
_HAIR_COLOURS = {
    "black": "black", "dark brown": "dark brown", "brown": "brown", "light brown": "brown", "brunette": "brown",
    "blonde": "blond", "blond": "blond", "dirty blonde": "blond", "light blonde": "light blond",
    "light blond": "light blond", "platinum blonde": "light blond", "red": "red", "ginger": "red", "auburn": "red",
    "orange": "red", "grey": "grey", "gray": "grey", "silver": "grey", "white": "white",
}  # fmt: skip
_HAIR_STYLES = {
    "short": "short", "cropped": "cropped", "crew cut": "cropped", "buzz cut": "cropped", "buzzed": "cropped",
    "shaved": "cropped", "spiky": "spiky", "spiked": "spiky", "mohawk": "mohawk", "curly": "curly", "curls": "curly",
    "wavy": "curly", "afro": "afro", "bob": "bob", "long": "long", "ponytail": "ponytail", "pony tail": "ponytail",
    "bun": "bun", "braid": "braided", "braids": "braided", "braided": "braided", "dreadlocks": "braided",
    "pigtails": "pigtails", "thinning": "thin",
}  # fmt: skip
_GARMENTS = {
    "shirt": "shirt", "button up": "shirt", "blouse": "shirt", "dress shirt": "shirt", "t shirt": "t-shirt",
    "t-shirt": "t-shirt", "tee shirt": "t-shirt", "tshirt": "t-shirt", "suit": "suit", "suit and tie": "suit",
    "tuxedo": "suit", "blazer": "suit", "jacket": "jacket", "coat": "jacket", "leather jacket": "jacket",
    "sweater": "jumper", "jumper": "jumper", "pullover": "jumper", "turtleneck": "jumper", "cardigan": "jumper",
    "hoodie": "hoodie", "sweatshirt": "hoodie", "dress": "dress", "top": "top", "tank top": "top",
    "overalls": "overalls",
}  # fmt: skip
_SKIN = {
    "pale": "pale", "fair": "pale", "white": "light", "light": "light", "caucasian": "light", "tan": "tan",
    "tanned": "tan", "olive": "tan", "medium": "tan", "brown": "brown", "dark": "dark", "black": "dark",
}  # fmt: skip
_HATS = {
    "fedora": "fedora", "cap": "cap", "baseball cap": "cap", "baseball": "cap", "beanie": "beanie", "knit": "beanie",
    "knit cap": "beanie", "headscarf": "headscarf", "scarf": "headscarf", "hijab": "headscarf",
}  # fmt: skip
_SEX = {
    "man": "man", "male": "man", "boy": "boy", "woman": "woman", "female": "woman", "lady": "woman", "girl": "girl",
}  # fmt: skip

QUESTIONS: tuple[Question, ...] = (
    Question(topic="sex", text="is this person a man or a woman?", words=_SEX),
    Question(topic="child", text="is this person a child?", words=_YES),
    Question(topic="old", text="is this person old?", words=_YES),
    Question(topic="skin", text="what is the skin tone of this person?", words=_SKIN),
    Question(topic="bald", text="is this person bald?", words=_YES),
    Question(topic="hair colour", text="what color is the hair of this person?", words=_HAIR_COLOURS),
    Question(topic="hair style", text="what hairstyle does this person have?", words=_HAIR_STYLES),
    Question(topic="hair length", text="is the hair of this person long or short?", words=_HAIR_STYLES),
    Question(topic="hat", text="is this person wearing a hat?", words=_YES),
    Question(topic="hat kind", text="what kind of hat is this person wearing?", words=_HATS),
    Question(topic="hat colour", text="what color is the hat of this person?", words=_COLOURS),
    Question(topic="garment", text="what clothing is this person wearing?", words=_GARMENTS),
    Question(topic="garment colour", text="what color are the clothes of this person?", words=_COLOURS),
    Question(topic="striped", text="are the clothes of this person striped?", words=_YES),
    Question(topic="beard", text="does this person have a beard?", words=_YES),
    Question(topic="moustache", text="does this person have a mustache?", words=_YES),
    Question(topic="glasses", text="is this person wearing glasses?", words=_YES),
    Question(topic="sunglasses", text="is this person wearing sunglasses?", words=_YES),
    Question(topic="smile", text="is this person smiling?", words=_YES),
)
"""Each is asked once, about every photo. The topics are those of TeCH's questions, which PSHead took over."""
