"""Extractors: what each must keep and leave out, and that no page ends a worker."""

from __future__ import annotations

import contextlib
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from pretrain_api.spec.data import Extract
from pretrain_dataprep.sources import extraction
from pretrain_dataprep.sources.extraction import EXTRACTORS, ExtractionError, decode_page, extractor
from pretrain_dataprep.sources.html import html_depth

PARAGRAPH = "The library is initialised before its first use, and every later call returns the same value again. " * 3
CODE = "def f(x):\n    if x:\n        return 1\n    return 2"
PAGE = f"""<!doctype html><html><head><title>T</title><script>var tracking = 1</script><style>p {{}}</style></head>
<body><nav><ul><li><a href="/">Home page</a></li><li><a href="/about">About the company</a></li></ul></nav>
<main><h1>How to use it</h1><p>{PARAGRAPH}</p><pre><code>{CODE}</code></pre><p>Second: {PARAGRAPH}</p></main>
<footer><a href="/imprint">Imprint and privacy</a></footer><script>more()</script></body></html>"""


def test_the_extractors_of_the_contract_are_there() -> None:
    for name in EXTRACTORS:
        assert Extract.model_validate({"extractor": name}).extractor == name


@pytest.mark.parametrize("name", EXTRACTORS)
def test_content_stays_and_furniture_goes(name: str) -> None:
    text = extractor(name)(PAGE)
    squeezed = re.sub(r"\s+", " ", text)
    assert squeezed.count(PARAGRAPH.strip()) == 2
    assert CODE in text
    assert "How to use it" in text
    for furniture in ("tracking", "more()", "Home page", "About the company", "Imprint"):
        assert furniture not in text


@pytest.mark.parametrize("name", EXTRACTORS)
@settings(deadline=None, max_examples=60)
@given(page=st.text(alphabet="<>/abdhpirv &;!-\"'= \n\0\ud800é", max_size=120))
def test_any_page_gives_text_or_a_reason(name: str, page: str) -> None:
    with contextlib.suppress(ExtractionError):
        extractor(name)(page.encode("utf-8", "replace").decode()).encode()


@pytest.mark.parametrize("name", EXTRACTORS)
def test_deep_and_broken_pages(name: str) -> None:
    for page in ("", "<", "<div>" * 20_000 + "deep", "<p>" * 20_000, "<a " * 5_000, "<table>" * 3_000, "\0" * 1000):
        with contextlib.suppress(ExtractionError):
            extractor(name)(page)


def test_the_depth_of_a_page() -> None:
    assert html_depth("<p>x</p><p><b>y</b></p>") == 4
    assert html_depth("<div>" * 500 + "x" + "</div>" * 500 + "<p>y") == 502


def test_a_failing_extractor_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(html: str) -> str:
        raise RecursionError("too deep")

    monkeypatch.setitem(extraction._EXTRACTORS, "trafilatura", lambda: fail)
    with pytest.raises(ExtractionError, match="trafilatura can't read the page: RecursionError: too deep"):
        extractor("trafilatura")("<p>x")


@pytest.mark.parametrize("module", ["trafilatura", "justext", "lxml_html_clean"])
def test_a_missing_library_is_not_the_fault_of_a_page(module: str) -> None:
    script = f"""
import sys
sys.modules["{module}"] = None
from pretrain_dataprep.sources.extraction import extractor
try:
    extractor("trafilatura")
except ImportError as error:
    print("not installed:", error)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("not installed:")


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=100), st.sampled_from([None, "utf-8", "latin-1", "utf-16", "utf-7", "hex", "\0", "idna"]))
def test_any_bytes_are_decoded_to_text(content: bytes, declared: str | None) -> None:
    decode_page(content, declared).encode()


def rust_documentation() -> list[Path]:
    home = Path(os.environ.get("RUSTUP_HOME", Path.home() / ".rustup"))
    return sorted(home.glob("toolchains/stable-*/share/doc/rust/html/**/*.html"))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "paragraphs", "code"), [("selectolax", 0.99, 1.0), ("resiliparse", 0.99, 0.98)])
def test_real_documentation(name: str, paragraphs: float, code: float) -> None:
    """Of Rust's documentation nearly every paragraph, and every code block as it is."""
    files = rust_documentation()
    if not files:
        pytest.skip("Rust's documentation isn't installed")
    kept: dict[str, list[bool]] = {"p": [], "pre": []}
    for path in random.Random(3).sample(files, min(150, len(files))):
        page = path.read_text(errors="replace")
        text = extractor(name)(page)
        squeezed = re.sub(r"\s+", " ", text)
        main = LexborHTMLParser(page).css_first("main")
        for node in main.css("p") if main else []:
            wanted = re.sub(r"\s+", " ", node.text() or "").strip()
            if len(wanted) > 60:
                kept["p"].append(wanted in squeezed)
        for node in main.css("pre") if main else []:
            kept["pre"].append((node.text() or "").strip("\n").rstrip() in text)
    assert sum(kept["p"]) >= paragraphs * len(kept["p"])
    assert sum(kept["pre"]) >= code * len(kept["pre"])
