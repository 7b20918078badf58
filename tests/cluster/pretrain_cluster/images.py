"""Container images as OCI archives: reads their names, and makes those that are a single static program.

Format: https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path
from typing import Any

from .errors import ClusterError

NAME_ANNOTATION = "org.opencontainers.image.ref.name"
# Where containerd looks for a name first: the other annotation may be a bare tag.
CONTAINERD_NAME_ANNOTATION = "io.containerd.image.name"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write_program_image(archive: Path, name: str, program: Path, path: str, links: tuple[str, ...] = ()) -> None:
    """Write an image that holds one static program; the same program gives the same bytes.

    Args:
        archive: where the OCI archive goes.
        name: the image's name with its tag.
        program: the program on this machine.
        path: its absolute path in the image, and the image's entry point.
        links: absolute paths in the image of symbolic links to it.
    """
    layer = _layer(program.read_bytes(), path, links)
    blobs: dict[str, bytes] = {}
    configuration = {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Entrypoint": [path], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _add(blobs, _json(configuration), "application/vnd.oci.image.config.v1+json"),
        "layers": [_add(blobs, layer, "application/vnd.oci.image.layer.v1.tar")],
    }
    described = _add(blobs, _json(manifest), "application/vnd.oci.image.manifest.v1+json")
    described["annotations"] = {NAME_ANNOTATION: name, CONTAINERD_NAME_ANNOTATION: name}
    members = {f"blobs/sha256/{digest}": data for digest, data in sorted(blobs.items())}
    members["index.json"] = _json({"schemaVersion": 2, "manifests": [described]})
    members["oci-layout"] = _json({"imageLayoutVersion": "1.0.0"})
    with tarfile.open(archive, "w") as tar:
        for member, data in members.items():
            _write(tar, member, data)


def _layer(program: bytes, path: str, links: tuple[str, ...]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        _write(tar, path.lstrip("/"), program, mode=0o755)
        for link in links:
            entry = tarfile.TarInfo(link.lstrip("/"))
            entry.type, entry.linkname = tarfile.SYMTYPE, path
            tar.addfile(entry)
    return buffer.getvalue()


def _write(tar: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    tar.addfile(entry, io.BytesIO(data))


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _add(blobs: dict[str, bytes], data: bytes, media_type: str) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    blobs[digest] = data
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def images_of(archive: Path) -> dict[str, str]:
    """The images that an OCI archive holds: digests by name.

    Raises:
        ClusterError: it isn't there, isn't an OCI archive, or names no image.
    """
    if not archive.is_file():
        raise ClusterError(f"{archive}: there is no such file")
    try:
        with tarfile.open(archive, "r:") as tar:
            member = tar.extractfile("index.json")
            index = json.load(member) if member else {}
    except (OSError, KeyError, tarfile.TarError, ValueError) as error:
        raise ClusterError(
            f"{archive}: not an OCI archive ({error}); write one by `buildah push NAME oci-archive:{archive}:NAME`"
        ) from error
    names = {_name(manifest): str(manifest["digest"]) for manifest in index.get("manifests", [])}
    if not names or "" in names:
        raise ClusterError(
            f"{archive}: an image without a name; write it by `buildah push NAME oci-archive:{archive}:NAME`"
        )
    return names


def _name(manifest: dict[str, Any]) -> str:
    annotations = manifest.get("annotations", {})
    return str(annotations.get(CONTAINERD_NAME_ANNOTATION) or annotations.get(NAME_ANNOTATION) or "")
