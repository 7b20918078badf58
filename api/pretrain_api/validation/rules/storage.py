"""Where the job is kept: a path that is well formed and stays in its storage."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from pretrain_api.problems import Finding, shown
from pretrain_api.validation.rules.registry import RuleContext, rule

_URI = "spec.storage.uri"
_CLAIM_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_BUCKET_NAME = re.compile(r"[a-z0-9][-a-z0-9._]{1,220}[a-z0-9]")


def leaves_its_root(path: str) -> bool:
    """Return whether a path has a `..` part, percent-encoded ones included."""
    return ".." in re.split(r"[/\\]", unquote(path))


def has_control_characters(text: str) -> bool:
    """Return whether text has characters that no path should have: NUL, line ends and other invisible ones."""
    return not text.isprintable()


@rule(_URI)
def storage_stays_inside(context: RuleContext) -> Iterator[Finding]:
    """The storage is named by a clean path below its root."""
    uri = context.spec.storage.uri
    scheme, _, rest = uri.partition("://")
    if not uri:
        return
    if has_control_characters(uri) or uri != uri.strip():
        yield Finding(_URI, f"{shown(uri)} has spaces around it or characters that do not print; remove them")
    elif leaves_its_root(rest):
        yield Finding(_URI, f"{shown(uri)} leaves its storage by '..'; write the path without it")
    elif "?" in rest or "#" in rest:
        yield Finding(_URI, f"{shown(uri)} has a query or fragment; write the path alone")
    else:
        yield from _well_formed(uri, scheme, rest)


def _well_formed(uri: str, scheme: str, rest: str) -> Iterator[Finding]:
    root = rest.partition("/")[0]
    if scheme == "file" and not rest.startswith("/"):
        yield Finding(_URI, f"{shown(uri)} is not an absolute path; write file:///{rest} with three slashes")
    if scheme == "pvc" and not _CLAIM_NAME.fullmatch(root):
        yield Finding(
            _URI,
            f"{shown(root)} is not the name of a claim (lower-case letters, digits, '-'); write pvc://claim/path",
        )
    if scheme in ("s3", "gs") and not _BUCKET_NAME.fullmatch(root):
        yield Finding(_URI, f"{shown(root)} is not the name of a bucket; write {scheme}://bucket/prefix")


@rule(_URI, "spec.storage.create")
def only_claims_are_created(context: RuleContext) -> Iterator[Finding]:
    """The operator makes claims, not buckets."""
    storage = context.spec.storage
    if storage.create is not None and not storage.uri.startswith("pvc://"):
        what = f"{storage.uri.partition('://')[0]}:// is not a claim" if storage.uri else "storage.uri names no claim"
        yield Finding("spec.storage.create", f"{what}; write uri: pvc://claim/path, or remove create")


@rule("spec.storage.create.size")
def claims_have_a_size(context: RuleContext) -> Iterator[Finding]:
    """A claim of nothing is refused by every storage class."""
    create = context.spec.storage.create
    if create is not None and not re.search(r"[1-9]", create.size):
        yield Finding("spec.storage.create.size", f"{shown(create.size)} is no size; write for example 500Gi")
