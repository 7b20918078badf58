"""Container images as OCI archives."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from pretrain_cluster import ClusterError
from pretrain_cluster.images import images_of, write_program_image


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program"
    path.write_bytes(b"\x7fELF and so on")
    return path


def test_a_program_becomes_an_image(tmp_path: Path, program: Path) -> None:
    archive = tmp_path / "image.tar"
    write_program_image(archive, "localhost/program:1", program, "/bin/program", ("/bin/alias",))

    with tarfile.open(archive) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (described,) = json.loads(files["index.json"])["manifests"]
    assert images_of(archive) == {"localhost/program:1": described["digest"]}
    manifest = json.loads(_blob(files, described))
    assert json.loads(_blob(files, manifest["config"]))["config"]["Entrypoint"] == ["/bin/program"]
    with tarfile.open(fileobj=io.BytesIO(_blob(files, manifest["layers"][0]))) as layer:
        assert layer.extractfile("bin/program").read() == program.read_bytes()  # type: ignore[union-attr]
        assert layer.getmember("bin/program").mode == 0o755
        assert layer.getmember("bin/alias").linkname == "/bin/program"


def test_the_same_program_gives_the_same_bytes(tmp_path: Path, program: Path) -> None:
    for name in ("one.tar", "two.tar"):
        write_program_image(tmp_path / name, "localhost/program:1", program, "/program")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_what_is_no_image_says_how_to_write_one(tmp_path: Path) -> None:
    text = tmp_path / "text.tar"
    text.write_text("not a tar")
    with pytest.raises(ClusterError, match=r"text.tar: not an OCI archive.*buildah push"):
        images_of(text)
    with pytest.raises(ClusterError, match=r"missing.tar: there is no such file"):
        images_of(tmp_path / "missing.tar")
    nameless = tmp_path / "nameless.tar"
    with tarfile.open(nameless, "w") as tar:
        data = json.dumps({"manifests": [{"digest": "sha256:0"}]}).encode()
        entry = tarfile.TarInfo("index.json")
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    with pytest.raises(ClusterError, match=r"without a name.*buildah push"):
        images_of(nameless)


def _blob(files: dict[str, bytes], described: dict[str, str]) -> bytes:
    return files[f"blobs/{described['digest'].replace(':', '/')}"]
