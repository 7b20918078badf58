"""From HTML to text: paragraphs and code blocks stay, mark-up, scripts and what surrounds the content go.

selectolax (the lexbor engine) parses; which elements are content is decided here. Left out are scripts, forms,
pictures and the page's furniture (`nav`, `header`, `footer`, `aside`, and elements whose ARIA role says the same);
what is inside `main` or a single `article` is preferred to the whole body; a block that is nearly all links and is
short is taken for navigation (the link density of Kohlschütter et al. 2010, "Boilerplate Detection using Shallow
Text Features").
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

# fmt: off
_DROPPED = frozenset((
    "script", "style", "noscript", "template", "svg", "math", "canvas", "iframe", "object", "embed", "form", "button",
    "select", "input", "textarea", "label", "nav", "header", "footer", "aside", "dialog", "menu", "head", "audio",
    "video", "picture", "img", "map",
))
_DROPPED_ROLES = frozenset((
    "navigation", "banner", "contentinfo", "search", "complementary", "menu", "menubar", "dialog", "alert",
))
_BLOCKS = frozenset((
    "address", "article", "blockquote", "body", "center", "dd", "details", "div", "dl", "dt", "fieldset", "figcaption",
    "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "html", "legend", "li", "main", "ol", "p", "section", "summary",
    "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
))
# fmt: on
_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_SPACE = re.compile(r"[ \t\n\r\f]+")
_MAX_LINK_DENSITY = 0.5
_MAX_NAVIGATION_CHARACTERS = 80


@dataclass
class _Blocks:
    """Text blocks under construction."""

    done: list[str] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    link_characters: int = 0

    def add(self, text: str, in_link: bool) -> None:
        self.pieces.append(text)
        if in_link:
            self.link_characters += len(text.strip())

    def close(self, heading: bool = False) -> None:
        if not self.pieces:
            return
        text = _SPACE.sub(" ", "".join(self.pieces)).strip()
        mostly_links = self.link_characters > _MAX_LINK_DENSITY * max(1, len(text))
        if text and (heading or not mostly_links or len(text) > _MAX_NAVIGATION_CHARACTERS):
            self.done.append(text)
        self.pieces.clear()
        self.link_characters = 0


def html_to_text(html: str) -> str:
    """Return the text of a page: blocks divided by an empty line, preformatted text as it is."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(html)
    root = _content_root(tree)
    if root is None:
        return ""
    blocks = _Blocks()
    _walk(root, blocks)
    blocks.close()
    return "\n\n".join(blocks.done)


def html_depth(html: str) -> int:
    """Return how deep the elements of a page are nested."""
    from selectolax.lexbor import LexborHTMLParser

    node: Any = LexborHTMLParser(html).root
    depth = deepest = 0
    while node is not None:
        deepest = max(deepest, depth)
        if node.child is not None:
            node, depth = node.child, depth + 1
            continue
        while node is not None and node.next is None:
            node, depth = node.parent, depth - 1
        node = node.next if node is not None else None
    return deepest


def _content_root(tree: Any) -> Any:
    for selector in ("main", "[role=main]"):
        found = tree.css_first(selector)
        if found is not None:
            return found
    articles = tree.css("article")
    return articles[0] if len(articles) == 1 else tree.body


def _walk(root: Any, blocks: _Blocks) -> None:
    """Visit the tree in document order; a stack instead of recursion, because pages nest as deep as they like."""
    ancestors: list[tuple[Any, str, bool]] = []
    node, in_link = root.child, False
    while node is not None or ancestors:
        if node is None:
            node, tag, in_link = ancestors.pop()
            if tag in _BLOCKS:
                blocks.close(heading=tag in _HEADINGS)
            node = node.next
            continue
        tag = node.tag or "-"
        if tag == "-text":
            blocks.add(node.text_content or "", in_link)
        elif tag == "br":
            blocks.add(" ", in_link)
        elif tag == "pre":
            _add_preformatted(node, blocks)
        elif not tag.startswith("-") and not _is_dropped(node, tag):
            if tag in _BLOCKS:
                blocks.close()
            ancestors.append((node, tag, in_link))
            in_link = in_link or tag == "a"
            node = node.child
            continue
        node = node.next


def _add_preformatted(node: Any, blocks: _Blocks) -> None:
    blocks.close()
    text = (node.text() or "").strip("\n").rstrip()
    if text:
        blocks.done.append(text)


def _is_dropped(node: Any, tag: str) -> bool:
    if tag in _DROPPED:
        return True
    attributes = node.attributes
    return attributes.get("role") in _DROPPED_ROLES or "hidden" in attributes or attributes.get("aria-hidden") == "true"
