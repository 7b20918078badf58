"""Keys and tokens in code and configuration.

Those of known services by their form; JSON Web Tokens; private keys as a whole; and any value with much entropy that is
assigned to what is called a password, secret, token or key. Names, paths, calls, references (`${TOKEN}`) and examples
stay.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from pretrain_dataprep.text.personal.finding import Finding

_MAX_PRIVATE_KEY_BYTES = 16_384
_MAX_TOKEN_BYTES = 4096
_NAME_BYTES = 64
_MIN_ENTROPY_BITS = 3.0
"""Bits a character (Shannon) of a value. Words have some 2.5 at this length, random hexadecimal digits 3.3 and more."""

PREFIXED = re.compile(
    rb"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Za-z0-9_])"  # AWS access key
    rb"|AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])|ya29\.[A-Za-z0-9_-]{20,}|GOCSPX-[A-Za-z0-9_-]{28}"  # Google
    rb"|gh[pousr]_[A-Za-z0-9]{36,255}(?![A-Za-z0-9_])|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"  # GitHub
    rb"|glpat-[A-Za-z0-9_-]{20,64}"  # GitLab
    rb"|xox[abeoprs]-[A-Za-z0-9-]{10,250}|xapp-\d-[A-Za-z0-9-]{10,250}"  # Slack
    rb"|[sr]k_(?:live|test)_[A-Za-z0-9]{16,250}"  # Stripe
    rb"|sk-(?:proj-|ant-[a-z0-9]{2,8}-)?[A-Za-z0-9_-]{32,250}"  # OpenAI, Anthropic
    rb"|hf_[A-Za-z0-9]{30,64}(?![A-Za-z0-9_])|npm_[A-Za-z0-9]{36}(?![A-Za-z0-9_])|pypi-[A-Za-z0-9_-]{50,250}"
    rb"|dckr_pat_[A-Za-z0-9_-]{27}|SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"
    rb"|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{10,}"  # RFC 7519
)
PRIVATE_KEY = re.compile(
    rb"-----BEGIN ((?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?)-----[\sA-Za-z0-9+/=:,.()\\_-]{40,}?-----END \1-----"
)
NAME = re.compile(
    rb"(?:passw(?:or)?d|passwd|passphrase|pwd|secret|token|api[_-]?key|apikey|access[_-]?key|auth[_-]?key|private[_-]?key|"
    rb"encryption[_-]?key|signing[_-]?key|account[_-]?key|credentials?|bearer|passwort|contrase\xc3\xb1a|mot[_-]?de[_-]?passe)"
    rb"[A-Za-z0-9_-]{0,24}[\"'\]]{0,2}\s{0,8}(?::|=|:=|=>|==)[\s\"'`=>]{0,4}$",
    re.IGNORECASE,
)
_NOT_A_VALUE = re.compile(
    rb"\$\{|\{\{|[\[(]|%\(|^[<\[{$%]|^[A-Za-z]+://|^/|^\.{1,2}/|\.\.\.|^[a-z_]+(?:\.[a-z_]+)+|xxxx|\*{3}|"
    rb"example|changeme|change_me|placeholder|your[_-]|insert|dummy|sample|redacted|lorem|process\.env|environ|getenv",
    re.IGNORECASE,
)
_WORDS = re.compile(rb"[A-Z][a-z]{2,}|[a-z]{4,}|[A-Z]{4,}|[_.-]")
"""What names are made of. Of random letters and digits a seventh looks like that, of names nearly everything."""
_MIN_RANDOM_SHARE = 0.5
CREDENTIALS = re.compile(rb"[A-Za-z0-9_.%+-]{1,64}:([^\s:/@\"'<>`]{3,64})")


def find_tokens(document: bytes, start: int, end: int) -> Iterator[Finding]:
    """Yield the key or token of a known service, or the private key, that begins where the stretch does."""
    if document.startswith(b"-----", start):
        match = PRIVATE_KEY.match(document, start, start + _MAX_PRIVATE_KEY_BYTES)
    else:
        match = PREFIXED.match(document, start, start + _MAX_TOKEN_BYTES)
        if match and (
            _NOT_A_VALUE.search(match[0][8:]) or (match[0].startswith(b"sk-") and not looks_random(match[0]))
        ):
            match = None
    if match:
        yield _secret(match[0], match.start())


def find_assigned(document: bytes, start: int, end: int) -> Iterator[Finding]:
    """Yield the value at the stretch if its name says that it is secret and it looks random."""
    if not NAME.search(document, max(0, start - _NAME_BYTES), start):
        return
    value = document[start:end].rstrip(b".)]}\\")
    if looks_random(value):
        yield _secret(value, start)


def find_credentials(document: bytes, start: int, end: int) -> Iterator[Finding]:
    """Yield the password of `user:password`."""
    match = CREDENTIALS.fullmatch(document, start, end)
    if (
        match
        and not _NOT_A_VALUE.search(match[1])
        and match[1].lower() not in (b"password", b"pass", b"pwd", b"secret")
    ):
        yield Finding(match.start(1), match.end(1), "secret", match[1].decode("utf-8", "replace"))


def looks_random(value: bytes) -> bool:
    """Tell whether a value is more than words (`LayoutLMv3Tokenizer`), a path, a reference or an example."""
    return (
        len(value) >= 12
        and not _NOT_A_VALUE.search(value)
        and len(_WORDS.sub(b"", value)) >= _MIN_RANDOM_SHARE * len(value)
        and entropy_bits(value) >= _MIN_ENTROPY_BITS
    )


def entropy_bits(value: bytes) -> float:
    """Return Shannon's entropy of the bytes' frequencies, in bits a byte."""
    counts = Counter(value).values()
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts)


def _secret(value: bytes, start: int) -> Finding:
    return Finding(start, start + len(value), "secret", value.decode("utf-8", "replace"))
