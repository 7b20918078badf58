"""Sentences in nine locales, some with personal data or secrets whose place is known, some that only look like it."""

from __future__ import annotations

import hashlib
import random
import string
import uuid
from collections.abc import Iterator
from typing import NamedTuple

from . import labelled_values as values
from .labelled_values import Make, characters, digits, grouped, international


class Item(NamedTuple):
    """A document; what is personal in it: (start, end, kind) in bytes."""

    locale: str
    text: str
    labels: tuple[tuple[int, int, str], ...]
    source: str
    """What made it, for messages."""


# Phone numbers: what is written without a country code, and the words that come before it.
PHONES: dict[str, tuple[Make, list[str]]] = {
    "en-US": (values.american_phone, ["Phone: {}", "call {} today", "{}", "my cell is {}"]),
    "en-GB": (lambda g: f"020 7{digits(g, 3)} {digits(g, 4)}", ["Tel: {}", "phone {}", "Call {} now"]),
    "de-DE": (lambda g: f"0{digits(g, 2, '3456789')}/{digits(g, 7)}", ["Tel.: {}", "Telefon {}", "Fax: {}"]),
    "fr-FR": (lambda g: "0" + grouped(digits(g, 9, "12345679"), (1, 2, 2, 2, 2), " "), ["Tél. : {}", "Téléphone : {}"]),
    "es-ES": (lambda g: grouped(digits(g, 9, "69"), (3, 3, 3), " "), ["Teléfono: {}", "Móvil {}", "Tel. {}"]),
    "it-IT": (lambda g: f"06 {digits(g, 4)} {digits(g, 4)}", ["Tel. {}", "Telefono: {}", "cellulare {}"]),
    "pt-BR": (lambda g: f"({digits(g, 2, '123')}) 9{digits(g, 4)}-{digits(g, 4)}", ["Telefone: {}", "Celular {}"]),
    "zh-CN": (lambda g: f"010-{digits(g, 8, '6')}", ["电话：{}", "电话: {}", "手机：{}"]),
    "en-IN": (lambda g: f"{digits(g, 5, '789')} {digits(g, 5)}", ["Mobile: {}", "phone {}", "WhatsApp: {}"]),
}
CODES: dict[str, Make] = {
    "en-US": values.american_phone,
    "en-GB": international("44", [(2, 4, 4), (4, 6)]),
    "de-DE": international("49", [(2, 7), (3, 4, 4)]),
    "fr-FR": international("33", [(1, 2, 2, 2, 2)]),
    "es-ES": international("34", [(3, 3, 3)]),
    "it-IT": international("39", [(2, 4, 4)]),
    "pt-BR": international("55", [(2, 5, 4)]),
    "zh-CN": international("86", [(3, 4, 4), (2, 4, 4)]),
    "en-IN": international("91", [(5, 5)]),
}
IDENTIFIERS: dict[str, tuple[Make, list[str]]] = {
    "en-US": (values.social_security, ["SSN: {}", "{}", "her social security number is {}"]),
    "en-GB": (values.insurance_number, ["NI number: {}", "National Insurance {}", "{}"]),
    "de-DE": (values.german_tax_number, ["Steuer-ID: {}", "Identifikationsnummer {}", "IdNr. {}"]),
    "fr-FR": (values.french_nir, ["Numéro de sécurité sociale : {}", "NIR {}"]),
    "es-ES": (values.spanish_number, ["DNI: {}", "con NIF {}", "NIE {}"]),
    "it-IT": (values.fiscal_code, ["Codice fiscale: {}", "C.F. {}", "{}"]),
    "pt-BR": (values.cpf, ["CPF: {}", "inscrito no CPF sob o nº {}", "CPF {}"]),
    "zh-CN": (values.resident_number, ["身份证号：{}", "身份证号码 {}", "证件号{}"]),
    "en-IN": (values.aadhaar, ["Aadhaar: {}", "UID {}", "Aadhaar number is {}"]),
}
CARDS = [
    "Card number: {}",
    "Visa {}",
    "Kreditkarte {}",
    "carte bancaire : {}",
    "tarjeta {}",
    "carta {}",
    "cartão {}",
    "卡号：{}",
]
EMAILS = ["Mail: {}", "<{}>", "write to {}, please", "Contact {} or visit us", "邮箱：{} ", "E-Mail an {}.", '"{}"']
ADDRESSES = ["from {} port 22", "IP: {}", "client {} connected", "[{}]", "ping {}", "host={}"]
TOKENS = ["export TOKEN={}", 'key = "{}"', "Authorization: Bearer {}", "curl -H 'X-Key: {}'", "{}", "token: '{}'"]
PASSWORDS = [
    "password={}",
    'api_key = "{}"',
    "SECRET_KEY: '{}'",
    '"client_secret": "{}"',
    "DB_PASSWORD={}",
    "auth_token => '{}'",
    "aws_secret_access_key = {}",
    "private_key: {}",
    "postgres://app:{}@db/prod",
]
FRAMES = {
    "en-US": ("We met on Monday. ", " Thanks for your help."),
    "en-GB": ("As discussed, ", " Kind regards."),
    "de-DE": ("Wie besprochen: ", " Mit freundlichen Grüßen"),
    "fr-FR": ("Comme convenu, ", " Merci beaucoup."),
    "es-ES": ("Según lo acordado, ", " Un saludo."),
    "it-IT": ("Come d'accordo, ", " Cordiali saluti."),
    "pt-BR": ("Conforme combinado, ", " Obrigado."),
    "zh-CN": ("如前所述，", "。谢谢您的帮助。"),
    "en-IN": ("As per our call, ", " Please revert."),
}
LOCALES = tuple(FRAMES)


def iban(g: random.Random) -> str:
    body = digits(g, 18)
    check = 98 - int(f"{body}131400") % 97
    text = f"DE{check:02d}{body}"
    return g.choice([text, grouped(text, (4, 4, 4, 4, 4, 2), " ")])


def isbn(g: random.Random) -> str:
    body = f"97{g.choice('89')}{digits(g, 9)}"
    check = -sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(body)) % 10
    text = f"{body}{check}"
    return g.choice([text, grouped(text, (3, 1, 2, 6, 1), "-"), grouped(text[3:], (1, 3, 5, 1), "-")])


def version(g: random.Random) -> str:
    numbers = ".".join(str(g.randint(0, 30)) for _ in range(g.randint(2, 4)))
    return g.choice(["v{}", "version {}", "Chrome/{}", "numpy=={}", "release {}", "kernel {}", "requires >={}"]).format(
        numbers
    )


def order(g: random.Random) -> str:
    words = [
        "Order {}",
        "order no. {}",
        "Tracking number {}",
        "Bestellnummer: {}",
        "commande {}",
        "pedido {}",
        "Invoice {}",
        "订单号：{}",
    ]
    return g.choice(words).format(digits(g, g.randint(8, 16), "123456789"))


def date(g: random.Random) -> str:
    year, month, day = g.randint(1950, 2030), g.randint(1, 12), g.randint(1, 28)
    forms = [
        "{0}-{1:02}-{2:02}",
        "{2:02}.{1:02}.{0}",
        "{1}/{2}/{0}",
        "{0}{1:02}{2:02}T101112",
        "{0}-{1:02}-{2:02} 12:34:56.789",
    ]
    return g.choice(forms).format(year, month, day)


def number(g: random.Random) -> str:
    forms = [
        f"{g.random() * 1000:.{g.randint(2, 14)}f}",
        f"{g.randint(10**6, 10**12):,}",
        digits(g, g.randint(9, 16), "123456789"),
        f"{g.randint(1, 10**9):,}.{digits(g, 2)}",
        f"{g.randint(10**8, 10**10)} bytes",
        f"-{g.random():.8f}",
        f"{g.random() * 90:.6f}, {g.random() * 180:.6f}",
        f"{g.randint(10**9, 2 * 10**9)}",
        f"{g.randint(15 * 10**11, 18 * 10**11)} ms",
        f"{g.randint(1, 9)}.{digits(g, 6)}e-{g.randint(1, 20)}",
        f"{g.randint(1900, 1999)}-{g.randint(2000, 2024)}",
        " ".join(str(g.randint(0, 99)) for _ in range(12)),
        f"10.{digits(g, 4)}/{digits(g, 6)}",
    ]
    return g.choice(forms)


def digest(g: random.Random) -> str:
    text = str(g.random()).encode()
    name, value = g.choice(
        [
            ("md5", hashlib.md5(text).hexdigest()),
            ("sha1", hashlib.sha1(text).hexdigest()),
            ("sha256", hashlib.sha256(text).hexdigest()),
        ]
    )
    return g.choice(
        [
            f"{name}: {value}",
            f"{name} = '{value}'",
            f"commit {value[:12]}",
            f'"integrity": "sha512-{characters(g, 86)}=="',
            f"etag={value}",
        ]
    )


def code(g: random.Random) -> str:
    name = g.choice(["parser", "session", "client", "user"])
    lines = [
        f"token = {name}.next_token{g.randint(1, 9)}()",
        "password = os.environ['DB_PASSWORD_2']",
        'api_key: "<your-api-key-1234>"',
        f"secret_name = my_{name}_secret_{g.randint(1, 99)}",
        f"std::vector<int>::iterator it{g.randint(1, 99)};",
        "x[1::2] = a::b",
        f"@Override public void f{g.randint(1, 9)}()",
        f"react@18.2.{g.randint(0, 9)}",
        f"git@github.com:{name}/repo{g.randint(1, 99)}.git",
        f"0x{characters(g, 12, '0123456789abcdef')}",
        f"{uuid.UUID(int=g.getrandbits(128))}",
        "00:1a:2b:3c:4d:5e",
        "127.0.0.1:8080",
        f"password: ${{SECRET_{g.randint(1, 99)}}}",
        "token_type = access_token_v2",
        f"color: #{characters(g, 6, '0123456789abcdef')};",
        f"for i in range({g.randint(10**6, 10**8)}):",
        f"secret = 'example-value-{g.randint(100, 999)}'",
        "password=changeme12345",
        f"key = '{name}-settings-{g.randint(1, 99)}'",
        "AKIAIOSFODNN7EXAMPLE",
        "http://user:password@localhost/",
        "eyJhbGciOiJIUzI1NiJ9",
    ]
    return g.choice(lines)


def plate(g: random.Random) -> str:
    capitals = "".join(g.choices(string.ascii_uppercase, k=g.randint(2, 3)))
    return g.choice(
        [
            f"{capitals} {digits(g, 4)}",
            f"SKU {capitals}{digits(g, 7)}",
            f"1Z999AA1{digits(g, 10)}",
            f"Part {digits(g, 4)}-{digits(g, 3)}{capitals}",
        ]
    )


NEGATIVES: tuple[Make, ...] = (iban, isbn, version, order, date, number, digest, code, plate)


def _placed(g: random.Random, locale: str, template: str, value: str, kind: str, source: str) -> Item:
    before, after = FRAMES[locale]
    head, tail = template.split("{}")
    prefix = (before + head).encode()
    end = len(prefix) + len(value.encode())
    return Item(locale, before + head + value + tail + after, ((len(prefix), end, kind),), source)


def labelled_items(seed: int, count: int) -> Iterator[Item]:
    """Yield `count` items: two of three with something personal, all kinds and locales equally often."""
    g = random.Random(seed)
    for index in range(count):
        locale = LOCALES[index % len(LOCALES)]
        kind = index // len(LOCALES) % 9
        if kind >= 6:
            make = g.choice(NEGATIVES)
            before, after = FRAMES[locale]
            yield Item(locale, f"{before}{make(g)}{g.choice(['', '.', ' ', ','])}{after}", (), make.__name__)
        elif kind == 0:
            yield _placed(g, locale, g.choice(EMAILS), values.email(g), "email", "email")
        elif kind == 1:
            make, templates = (
                PHONES[locale] if g.random() < 0.5 else (CODES[locale], ["{}", "Tel. {}", "({})", "→ {},"])
            )
            yield _placed(g, locale, g.choice(templates), make(g), "phone", "phone")
        elif kind == 2:
            yield _placed(g, locale, g.choice(ADDRESSES), values.ip(g), "ip", "ip")
        elif kind == 3:
            yield _placed(g, locale, g.choice(CARDS), values.card(g), "credit-card", "card")
        elif kind == 4:
            make, templates = IDENTIFIERS[locale]
            yield _placed(g, locale, g.choice(templates), make(g), "national-id", "identifier")
        elif g.random() < 0.5:
            yield _placed(g, locale, g.choice(TOKENS), values.secret(g), "secret", "token")
        else:
            yield _placed(g, locale, g.choice(PASSWORDS), values.password(g).replace("/", "-"), "secret", "password")
