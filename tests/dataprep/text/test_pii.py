"""What is redacted, what isn't, and what a placeholder depends on."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.text.pii import KINDS, Redactor, find_stretches

REDACTOR = Redactor(KINDS, 1234)


def redact(text: str, redactor: Redactor = REDACTOR) -> str:
    return redactor.redact(TextBatch.of([text.encode()]))[0].document(0).decode()


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        ("mail ", "john.doe+x@example.co.uk", ", please"),
        ("(", "a@b.com", ")"),
        ("<", "x_y@müller.de", ">"),
        ("", "first.last@sub.domain.example.org", ""),
        ("tel ", "+49 (0)30 1234-567", "."),
        ("call ", "0049 30 1234567", ""),
        ("", "(212) 555-0123", ""),
        ("", "212-555-0123", " is hers"),
        ("", "+1 212 555 0123", ""),
        ("", "+33 1 23 45 67 89", ""),
        ("", "+4915112345678", ""),
        ("", "+86 138 0013 8000", ""),
        ("", "+7 (495) 123-45-67", ""),
        ("", "+44 20 7946 0958", ""),
        ("Tel.: ", "030 12345678", ""),
        ("phone: ", "07700 900123", ""),
        ("电话：", "010 6552 9988", ""),
        ("Phone ", "555-1234", " works"),
        ("mobile ", "06-12345678", ""),
        ("ip ", "192.168.1.10", ":8080"),
        ("http://", "10.20.30.40", "/x"),
        ("at ", "8.8.8.8", "."),
        ("", "2001:db8::1", " there"),
        ("", "fe80::1", "%eth0"),
        ("[", "2001:db8:85a3::8a2e:370:7334", "]:80"),
    ],
)
def test_is_redacted(before: str, value: str, after: str) -> None:
    redacted = redact(before + value + after)
    assert re.fullmatch(re.escape(before) + "<(?:EMAIL|PHONE|IP)_[0-9a-f]{6}>" + re.escape(after), redacted), redacted


@pytest.mark.parametrize(
    "text",
    [
        "v1.2.3.4",
        "version 1.2.3.4",
        "Chrome/120.0.0.0",
        "numpy==1.2.3.4",
        "1.2.3.4.5",
        "127.0.0.1 and 0.0.0.0 with 255.255.255.0",
        "ISBN 978-3-16-148410-0",
        "ISBN-10: 0-306-40615-2",
        "2024-01-15 12:34:56",
        "12:34:56",
        "x[1::2] and a::b and std::abc",
        "00:1a:2b:3c:4d:5e",
        "@property",
        "foo@bar",
        "d41d8cd98f00b204e9800998ecf8427e",
        "DE89 3704 0044 0532 0130 00",
        "1234567890",
        "3.14159265358979",
        "10.1000/182",
        "1,234,567.89",
        "1 2 3 4 5 6 7 8 9 10 11 12",
        "2147483647 - 1",
    ],
)
def test_is_not_redacted(text: str) -> None:
    assert redact(text) == text


def test_placeholder_depends_on_value_and_seed_alone() -> None:
    first, second = redact("a@b.com then c@d.com"), redact("c@d.com then A@B.com")
    one, two = first.split(" then ")
    assert second == f"{two} then {one}"
    assert redact("a@b.com", Redactor(KINDS, 1)) != one
    assert redact("+49 30 1234567") == redact("0049 30 1234567") == redact("+49 (0)30 123-4567")


def test_only_the_kinds_asked_for() -> None:
    text = "a@b.com at 8.8.8.8"
    assert redact(text, Redactor(["ip"], 1)).startswith("a@b.com at <IP_")
    assert redact(text, Redactor([], 1)) == text


@settings(deadline=None, max_examples=200)
@given(st.lists(st.text(alphabet="0123456789.:-+() @abcdefz/é\n", max_size=60), max_size=4))
def test_any_text_is_redacted_to_text_and_stays_so(texts: list[str]) -> None:
    once, counts = REDACTOR.redact(TextBatch.of(text.encode() for text in texts))
    assert len(once) == len(texts)
    for document in once.documents():
        document.decode()
    placeholders = sum(len(re.findall(rb"<(?:EMAIL|PHONE|IP)_[0-9a-f]{6}>", document)) for document in once.documents())
    assert placeholders == sum(counts.values())


def test_many_stretches() -> None:
    batch = TextBatch.of([b"a@b.com " * 5000])
    assert len(find_stretches(batch)) == 5000
    assert REDACTOR.redact(batch)[1] == {"email": 5000}
