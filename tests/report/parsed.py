"""The page as a tree, read by the standard library's parser."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser

from attrs import define, field
from PIL import Image

VOID = {"meta", "img", "line", "circle", "polyline", "br", "link"}


@define(eq=False)
class Node:
    tag: str
    attributes: dict
    children: list = field(factory=list)

    def all(self, tag, **wanted):
        found = []
        for child in self.children:
            if isinstance(child, Node):
                has = all(child.attributes.get(name.rstrip("_").replace("_", "-")) == v for name, v in wanted.items())
                found += ([child] if child.tag == tag and has else []) + child.all(tag, **wanted)
        return found

    def text(self):
        return "".join(child if isinstance(child, str) else child.text() for child in self.children)


class Tree(HTMLParser):
    """Builds nodes, and refuses tags that do not nest."""

    def __init__(self):
        super().__init__()
        self.root = Node("root", {})
        self._open = [self.root]

    def handle_starttag(self, tag, attrs):
        node = Node(tag, dict(attrs))
        self._open[-1].children.append(node)
        if tag not in VOID:
            self._open.append(node)

    def handle_startendtag(self, tag, attrs):
        self._open[-1].children.append(Node(tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop().tag == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        self._open[-1].children.append(data)


def parsed(html):
    tree = Tree()
    tree.feed(html)
    tree.close()
    assert tree._open == [tree.root], "an element is not closed"
    return tree.root


def picture(node):
    """Return the picture of an `img`, decoded."""
    head, data = node.attributes["src"].split(",", 1)
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
