"""From the bytes of a web page to its text, by the extractor that the job chose.

- **selectolax** (default): the page's own structure decides what is content (`html`); code blocks stay as they are.
- **resiliparse**: Resiliparse's main-content heuristics (Bevendorff et al. 2018); as fast, written for crawls.
- **trafilatura**: Trafilatura (Barbaresi 2021), what FineWeb and RefinedWeb used; the strictest, some 20 times slower.
"""

from __future__ import annotations

from collections.abc import Callable

from pretrain_dataprep.sources.html import html_depth, html_to_text

Extract = Callable[[str], str]

_MAX_DEPTH = 1000


class ExtractionError(Exception):
    """The page can't be read."""


def extractor(name: str) -> Extract:
    """Return the function that turns a page's HTML into text; it raises ExtractionError alone.

    Raises ImportError when the extractor's library, or one that it needs, isn't installed: no page is to blame for it.
    """
    extract = _EXTRACTORS[name]()

    def extract_or_say_why(html: str) -> str:
        try:
            return extract(html)
        except Exception as error:
            # Parsers of other people meet every page of the web; none of them may end a worker.
            cause = " ".join(str(error).split())[:200]
            raise ExtractionError(f"{name} can't read the page: {type(error).__name__}: {cause}") from error

    return extract_or_say_why


def decode_page(content: bytes, declared: str | None = None) -> str:
    """Return a page as text: as UTF-8 if it is, else by its byte-order mark, its HTTP header, its <meta>, or its looks.

    Bytes that the charset doesn't have become U+FFFD: pages with a few of them are common, and browsers show them.
    """
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding, map_encoding_to_html5

    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    try:
        # What is valid UTF-8 is UTF-8, whatever the page says.
        return content.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError:
        pass
    for encoding in (declared and map_encoding_to_html5(declared), detect_encoding(content, from_html_meta=True)):
        try:
            if encoding:
                text: str = bytes_to_str(content, encoding, errors="replace", fallback_encodings=())
                return text.encode("utf-8", "replace").decode("utf-8")
        except LookupError:
            continue
    return content.decode("utf-8", "replace")


def _check_depth(html: str) -> None:
    """Raise ExtractionError for a page on which these extractors would spend minutes: they are quadratic in its depth.

    Browsers stop at 512 levels. Only pages with many elements that nothing closes are measured.
    """
    if html.count("<") - 2 * html.count("</") > _MAX_DEPTH and (depth := html_depth(html)) > _MAX_DEPTH:
        raise ExtractionError(f"elements are nested {depth:,} deep")


def _selectolax() -> Extract:
    return html_to_text


def _resiliparse() -> Extract:
    from resiliparse.extract.html2text import extract_plain_text

    def extract(html: str) -> str:
        _check_depth(html)
        text: str = extract_plain_text(
            html, main_content=True, list_bullets=False, alt_texts=False, links=False, form_fields=False, comments=False
        )
        return text

    return extract


def _trafilatura() -> Extract:
    from trafilatura import extract as extract_content

    def extract(html: str) -> str:
        _check_depth(html)
        return extract_content(html, include_comments=False, include_tables=True, include_formatting=False) or ""

    return extract


_EXTRACTORS: dict[str, Callable[[], Extract]] = {
    "selectolax": _selectolax,
    "resiliparse": _resiliparse,
    "trafilatura": _trafilatura,
}
EXTRACTORS = tuple(_EXTRACTORS)
