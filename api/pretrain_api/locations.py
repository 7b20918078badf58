"""Where data is that a job uses and didn't make: directories of this machine, and claims of a cluster."""

from __future__ import annotations

from pathlib import Path

from pretrain_api.spec.data import Data

CLAIM_SCHEME = "pvc://"
FILE_SCHEME = "file://"


def parse_claim(uri: str) -> tuple[str, str] | None:
    """Return the name of the claim and the path in it, without a slash first or last; None: it isn't a pvc:// URI."""
    if not uri.startswith(CLAIM_SCHEME):
        return None
    name, _, path = uri.removeprefix(CLAIM_SCHEME).partition("/")
    return name, path.strip("/")


def given_claims(data: Data) -> tuple[str, ...]:
    """Return the claims that hold data which is ready, each once, in the order in which they are named."""
    uris = [data.prepared or "", *(source.uri for source in data.tokenized)]
    return tuple(dict.fromkeys(parsed[0] for parsed in map(parse_claim, uris) if parsed is not None))


def local_path(uri: str, claims: str | None) -> Path:
    """Return where a path, file:// or pvc:// URI is on this machine.

    Args:
        uri: The address.
        claims: Directory in which claims are mounted, each under its name (`wire.ENV_CLAIMS`); None: none is.

    Raises:
        ValueError: It isn't on this machine; one line with the remedy.
    """
    claim = parse_claim(uri)
    if claim is not None:
        if not claims:
            raise ValueError(f"{uri}: names a claim of a cluster, and this isn't one; write the path of a directory")
        return Path(claims, *claim)
    if uri.startswith(FILE_SCHEME):
        return Path(uri.removeprefix(FILE_SCHEME))
    if "://" in uri:
        raise ValueError(f"{uri}: tokens are read in place; copy them to a claim or a directory, and write its path")
    return Path(uri)
