"""What is redacted, what isn't, and what a placeholder depends on."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.text.pii import KINDS, Redactor, find_stretches

REDACTOR = Redactor(KINDS, 1234)
PLACEHOLDER = "<(?:EMAIL|PHONE|IP|CREDIT_CARD|NATIONAL_ID|SECRET)_[0-9a-f]{6}>"


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
        # Numbers that card issuers, states and services publish as examples.
        ("card ", "4111 1111 1111 1111", "."),
        ("", "5500-0055-5555-5559", ""),
        ("Amex ", "3782 822463 10005", ""),
        ("", "30569309025904", " on file"),
        ("SSN: ", "078-05-1120", ""),
        ("ssn ", "078051120", ""),
        ("NI no. ", "AB 12 34 56 C", ""),
        ("Steuer-ID ", "86095742719", ","),
        ("IdNr. ", "65 929 970 489", ""),
        ("NIR ", "2 55 08 14 168 025 38", ""),
        ("DNI ", "12345678Z", "."),
        ("NIE ", "X-1234567-L", ""),
        ("C.F. ", "RSSMRA85T10A562S", ""),
        ("身份证", "11010519491231002X", "。"),
        ("CPF ", "529.982.247-25", ""),
        ("Aadhaar ", "2345 6789 0124", ""),
        ("UID: ", "234567890124", ""),
        ("id = ", "AKIA2E0A8F3B24AEXAMQ".replace("0", "2").replace("8", "3"), ""),
        ("", "ghp_" + "a1B2" * 9, ""),
        ("", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U", ""),
        ('api_key = "', "zX81kLm29QpaW7vT", '"'),
        ("password: ", "k3jfh28shf92", ""),
        ("postgres://app:", "p4ssw0rdX", "@db/prod"),
        ("", "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADAN" * 6 + "\n-----END PRIVATE KEY-----", "\n"),
    ],
)
def test_is_redacted(before: str, value: str, after: str) -> None:
    redacted = redact(before + value + after)
    assert re.fullmatch(
        re.escape(before) + PLACEHOLDER + re.escape(after),
        redacted,
    ), redacted


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
        "4111 1111 1111 1112 and 1234 5678 9012 3456",
        "order 4111111111111111 and Tracking number: 4111111111111111 and user_id=4111111111111111",
        "14111111111111111111111",
        "000-12-3456 and 666-12-3456 and 900-12-3456 and 123-00-4567",
        "BG 12 34 56 C and AB 12 34 56 E",
        "86095742718 and 12345678A and X1234567A and RSSMRA85T10A562T and 529.982.247-26 and 2345 6789 0123",
        "234567890124",
        "sha256 = 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "token = parser.next_token1()",
        'api_key: "<your-api-key-1234>" and password=changeme12345 and secret: ${SECRET_12345678}',
        "password_field = user_password_field_1 and next_token = stacks_resp[-1].stack_id",
        "SlowTokenizer = LayoutLMv3Tokenizer and secretRef: V1LocalObjectReference.from_dict",
        "AKIAIOSFODNN7EXAMPLE is in every manual",
        "git@github.com:org/repo.git",
        "-----BEGIN CERTIFICATE-----\nMIIEvQIBADAN\n-----END CERTIFICATE-----",
        "http://user:password@localhost/",
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
@given(
    st.lists(
        st.lists(
            st.one_of(
                st.text(alphabet="0123456789.:-+() @abcdefzAXZ=/_é\n", max_size=40),
                st.sampled_from(
                    ["4111 1111 1111 1111", "password=", "eyJh", "-----BEGIN ", "AKIA", "078-05-1120", "http://u:"]
                ),
            ),
            max_size=5,
        ).map("".join),
        max_size=4,
    )
)
def test_any_text_is_redacted_to_text_and_stays_so(texts: list[str]) -> None:
    once, counts = REDACTOR.redact(TextBatch.of(text.encode() for text in texts))
    assert len(once) == len(texts)
    for document in once.documents():
        document.decode()
    placeholders = sum(len(re.findall(PLACEHOLDER.encode(), document)) for document in once.documents())
    assert placeholders == sum(counts.values())


def test_of_findings_that_overlap_one_stays() -> None:
    assert re.fullmatch(r"Tel: <CREDIT_CARD_\w{6}>", redact("Tel: 4111 1111 1111 1111"))
    assert re.fullmatch(r"token=<SECRET_\w{6}>", redact("token=ghp_" + "a1B2" * 9))
    key = "-----BEGIN PRIVATE KEY-----\n" + "AKIA2E2A3F3B24AEXAMQ\n" * 4 + "-----END PRIVATE KEY-----"
    assert re.fullmatch(r"<SECRET_\w{6}>", redact(key))


def test_a_number_is_the_same_however_it_is_written() -> None:
    assert redact("4111 1111 1111 1111") == redact("4111111111111111") == redact("4111-1111-1111-1111")
    assert redact("DNI 12345678Z") == redact("DNI 12345678-Z")


def test_many_stretches() -> None:
    batch = TextBatch.of([b"a@b.com " * 5000])
    assert len(find_stretches(batch, REDACTOR.stretch_kinds)) == 5000
    assert REDACTOR.redact(batch)[1] == {"email": 5000}
