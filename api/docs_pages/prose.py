"""The few marks of our own descriptions as HTML: paragraphs, numbered lists, ``code``, **strong**."""

import re

from markupsafe import Markup, escape

_CODE = re.compile(r"`+([^`]+)`+")
_STRONG = re.compile(r"\*\*([^*]+)\*\*")
_ITEM = re.compile(r"\d+\.\s+")


def prose(text: str) -> Markup:
    """Render a description."""
    return Markup("\n").join(_block(block) for block in re.split(r"\n\s*\n", text.strip()) if block.strip())


def _block(block: str) -> Markup:
    lines = [line.strip() for line in block.splitlines()]
    if all(_ITEM.match(line) for line in lines):
        items = Markup("").join(Markup("<li>{}</li>").format(_inline(_ITEM.sub("", line, count=1))) for line in lines)
        return Markup("<ol>{}</ol>").format(items)
    return Markup("<p>{}</p>").format(_inline(" ".join(lines)))


def _inline(text: str) -> Markup:
    marked = _STRONG.sub(r"<strong>\1</strong>", _CODE.sub(r"<code>\1</code>", str(escape(text))))
    return Markup(marked)  # noqa: S704  # escaped in the line above
