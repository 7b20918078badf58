"""`sample://python`: what is listed, what is read, how it goes bad."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import sysconfig
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_dataprep.errors import ConfigurationError, InputError
from pretrain_dataprep.sources import python_library
from pretrain_dataprep.sources.corruption import Corruption, corrupter
from pretrain_dataprep.sources.sample import KINDS, SampleSource, list_files, parse_uri, read_documents

NEW_PROCESS = """
from pretrain_dataprep.sources.sample import SampleSource
source = SampleSource("sample://python?megabytes=0.5")
print([(chunk.label, source.fingerprint(chunk)) for chunk in source.chunks()])
"""


def corpus(uri: str) -> dict[str, str]:
    parameters = parse_uri(uri)
    pairs = [pair for file in list_files(parameters) for pair in read_documents(file.name, parameters)]
    documents = dict(pairs)
    assert len(documents) == len(pairs), "identifiers are unique"
    return documents


@pytest.fixture(scope="module")
def everything() -> dict[str, str]:
    return corpus("sample://python")


def test_there_are_at_least_eight_megabytes_of_all_kinds(everything: dict[str, str]) -> None:
    sizes: Counter[str] = Counter()
    for identifier, text in everything.items():
        sizes[identifier.partition("/")[0]] += len(text.encode())
    assert set(sizes) == set(KINDS)
    assert sizes.total() > 8_000_000
    assert sizes["docstrings"] > 1_000_000


def test_documents_are_duplicated_as_in_real_corpora(everything: dict[str, str]) -> None:
    exact = Counter(everything.values())
    assert sum(count - 1 for count in exact.values()) > 50
    # The stubs of the multi-byte codecs differ in a few words only: near-duplicates.
    stubs = [set(everything[f"sources/encodings/{name}.py"].split()) for name in ("big5", "cp949")]
    assert 0.7 < len(stubs[0] & stubs[1]) / len(stubs[0] | stubs[1]) < 1
    licenses = Counter(text for identifier, text in everything.items() if identifier.startswith("licenses/"))
    assert licenses.most_common(1)[0][1] >= 3, "several packages bring the same licence"


def test_listing_and_reading_are_fast() -> None:
    program = (
        "import time; from pretrain_dataprep.sources.sample import *;"
        "p = parse_uri('sample://python?megabytes=10'); t = time.process_time(); files = list_files(p);"
        "l = time.process_time(); n = sum(len(x) for f in files for _, x in read_documents(f.name, p));"
        "print(n, l - t, time.process_time() - l)"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    characters, listing_seconds, reading_seconds = map(float, output.split())
    assert characters > 8_000_000
    assert listing_seconds < 1
    assert reading_seconds < 3


@pytest.mark.parametrize("megabytes", [0.5, 3, 10])
def test_megabytes_bound_the_text(megabytes: float) -> None:
    parameters = parse_uri(f"sample://python?megabytes={megabytes}")
    files = list_files(parameters)
    assert sum(file.size for file in files) <= megabytes * 1e6
    actual = sum(len(text.encode()) for file in files for _, text in read_documents(file.name, parameters))
    assert actual == pytest.approx(megabytes * 1e6, rel=0.15)


def test_kinds_restrict_and_nothing_else_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AssertionError("the library was looked at")

    monkeypatch.setattr(python_library, "library_folder", refuse)
    python_library.list_sources.cache_clear()
    files = list_files(parse_uri("sample://python?kinds=topics,descriptions"))
    assert {file.name.partition("/")[0] for file in files} == {"topics", "descriptions"}
    assert files == sorted(files)


def test_another_process_sees_the_same() -> None:
    source = SampleSource("sample://python?megabytes=0.5")
    here = [(chunk.label, source.fingerprint(chunk)) for chunk in source.chunks()]
    command = [sys.executable, "-c", NEW_PROCESS]
    there = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert there.strip() == str(here)


def test_source_yields_documents_of_chunks() -> None:
    source = SampleSource("sample://python?kinds=docstrings")
    chunk = next(chunk for chunk in source.chunks() if chunk.relative_path == "docstrings/textwrap.py")
    documents = list(source.read(chunk))
    assert [document.position for document in documents] == list(range(len(documents)))
    assert documents[0].text == "Text wrapping and filling."
    assert any(document.text.startswith("dedent(text)\n\nRemove any common leading") for document in documents)


def test_fingerprint_changes_with_the_text() -> None:
    clean, bad = (SampleSource(f"sample://python?kinds=topics{more}") for more in ("", "&corruption=wrong-codec"))
    chunk = clean.chunks()[0]
    assert clean.fingerprint(chunk) != bad.fingerprint(chunk)


@pytest.mark.parametrize("module", ["argparse.py", "asyncio/tasks.py", "logging/__init__.py", "typing.py", "_pyio.py"])
def test_docstrings_are_those_that_ast_finds(module: str) -> None:
    tree = ast.parse((python_library.library_folder() / module).read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(tree) if isinstance(node, documented)]
    expected = Counter(filter(None, (ast.get_docstring(node) for node in nodes)))
    found = Counter(
        text.split("\n\n", 1)[1] if "#" in identifier else text
        for identifier, text in python_library.read_docstrings(module)
    )
    assert not found - expected, "nothing that isn't a docstring"
    assert found.total() > 0.85 * expected.total(), "all but those in single quotes and odd signatures"


@pytest.mark.parametrize(
    ("uri", "part"),
    [
        ("sample://perl", "there is sample://python"),
        ("sample://python?megabyte=3", "unknown parameter 'megabyte'"),
        ("sample://python?megabytes=-1", "not a positive number"),
        ("sample://python?megabytes=nan", "not a positive number"),
        ("sample://python?kinds=topics,novels", "unknown kind 'novels'; there are descriptions, docstrings"),
        ("sample://python?corruption=rot13", "unknown corruption 'rot13'; there are wrong-codec"),
        ("sample://python?seed=x", "seed=x is not a whole number"),
    ],
)
def test_wrong_uris_say_what_would_be_right(uri: str, part: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(part)) as caught:
        SampleSource(uri)
    assert str(caught.value).startswith(uri)


def test_nothing_to_read_is_an_input_error() -> None:
    with pytest.raises(InputError, match="ask for more megabytes"):
        SampleSource("sample://python?megabytes=0.00001&kinds=topics").chunks()


def test_a_python_without_sources_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    for cached in (python_library.library_folder, python_library.list_sources):
        cached.cache_clear()
    try:
        with pytest.raises(InputError, match="sources are not there"):
            SampleSource("sample://python?kinds=sources").chunks()
    finally:
        for cached in (python_library.library_folder, python_library.list_sources):
            cached.cache_clear()


@pytest.mark.parametrize("kind", list(Corruption))
def test_corruption_keeps_what_rule_filters_count(kind: Corruption) -> None:
    clean = corpus("sample://python?kinds=topics")
    bad = corpus(f"sample://python?kinds=topics&corruption={kind}&seed=5")
    assert bad.keys() == clean.keys()
    for identifier, text in clean.items():
        damaged = bad[identifier]
        assert list(map(len, damaged.split())) == list(map(len, text.split())), "as many words of the same lengths"
        assert re.sub(r"[^\W\d_]", "", damaged) == re.sub(r"[^\W\d_]", "", text), "only letters change"
        assert damaged != text


@given(st.sampled_from(Corruption), st.text(), st.integers(0, 10))
def test_corruption_is_a_function_of_kind_seed_and_document(kind: Corruption, text: str, seed: int) -> None:
    once, again = (corrupter(kind, seed)("document", text) for _ in range(2))
    assert once == again
    assert len(once) == len(text)


def test_corruption_goldens() -> None:
    text = "The KOI-7 shift state, 1 of 2."
    assert [corrupter(kind, 7)("x", text) for kind in Corruption] == [
        "тХЕ кои-7 СХИФТ СТАТЕ, 1 ОФ 2.",
        "Zyk JTH-7 nyhwz nzgzk, 1 tw 2.",
        "hTe IOK-7 ftihs state, 1 fo 2.",
    ]


def test_seed_and_document_matter_where_they_should() -> None:
    text = "A sentence that is long enough to be shuffled differently."
    shifted, shuffled = Corruption.SHIFTED_LETTERS, Corruption.SHUFFLED_LETTERS
    assert corrupter(shifted, 7)("x", text) == corrupter(shifted, 7)("y", text)
    assert corrupter(shifted, 7)("x", text) != corrupter(shifted, 8)("x", text)
    assert corrupter(shuffled, 7)("x", text) != corrupter(shuffled, 7)("y", text)
