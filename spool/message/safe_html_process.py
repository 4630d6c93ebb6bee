"""The process of safe_html: a question comes by standard input, the answer goes to standard output, both as JSON.

Arguments: processor seconds and bytes of memory. It is started as a file, so that it loads nothing of the project.
"""

from __future__ import annotations

import html
import json
import re
import resource
import sys
from collections.abc import Mapping
from typing import Any

import nh3

MOST_LINKS = 50
_REACHES_OUT = re.compile(r"(?i)url|expression|image|\\\\|@")
_TAGS = (
    "a abbr address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del dfn div dl"
    " dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark nav ol p pre q s samp"
    " section small span strike strong sub sup table tbody td tfoot th thead time tr tt u ul var wbr"
)
_ATTRIBUTES = {
    "*": {"style", "dir", "lang", "title", "align", "valign", "bgcolor", "color"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "font": {"face", "size"},
    "table": {"width", "border", "cellpadding", "cellspacing"},
    "td": {"width", "height", "colspan", "rowspan"},
    "th": {"width", "height", "colspan", "rowspan"},
    "ol": {"start", "type"},
}
_STYLES = (
    "color background-color font-family font-size font-style font-weight line-height letter-spacing text-align"
    " text-decoration text-transform vertical-align white-space width max-width height padding padding-top"
    " padding-right padding-bottom padding-left margin margin-top margin-right margin-bottom margin-left border"
    " border-top border-right border-bottom border-left border-color border-style border-width border-radius"
    " border-collapse border-spacing display list-style-type"
)


def clean(text: str, images: Mapping[str, str]) -> dict[str, Any]:
    """The fields of safe_html.SafeHTML."""
    links: list[str] = []
    remote_images = 0

    def keep(tag: str, attribute: str, value: str) -> str | None:
        nonlocal remote_images
        if tag == "a" and attribute == "href":
            if len(links) < MOST_LINKS and value[:500] not in links:
                links.append(value[:500])
            return None
        if tag == "img" and attribute == "src":
            if value.lower().startswith("cid:"):
                return images.get(value[4:].strip())
            remote_images += 1
            return None
        if attribute == "style" and _REACHES_OUT.search(value):
            return None
        return value

    body = nh3.clean(
        text,
        tags=set(_TAGS.split()),
        attributes=_ATTRIBUTES,
        attribute_filter=keep,
        link_rel=None,
        url_schemes={"cid", "data", "http", "https", "mailto", "tel"},
        filter_style_properties=set(_STYLES.split()),
        strip_comments=True,
    )
    return {"body": body, "links": links, "remote_images": remote_images}


def plain(text: str) -> str:
    """The text alone."""
    return html.unescape(nh3.clean(text, tags=set(), clean_content_tags={"script", "style"}))


def main() -> None:
    seconds, size_bytes = (int(word) for word in sys.argv[1:])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (size_bytes, size_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    question = json.load(sys.stdin)
    if "plain" in question:
        answer: Any = [plain(text) for text in question["plain"]]
    else:
        answer = clean(question["clean"], question["images"])
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
