"""A certificate authority for the cluster, and what it signs, by openssl."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

import yaml

from .processes import run

DAYS = 30
# openssl's own configuration would make every certificate an authority.
_CONFIGURATION = "[req]\ndistinguished_name = name\n[name]\n"


@dataclass(frozen=True)
class Authority:
    """The cluster's certificate authority, in a folder with everything it signed."""

    directory: Path

    @property
    def certificate(self) -> Path:
        """The authority's own certificate."""
        return self.directory / "ca.crt"

    def create(self) -> None:
        """Make the authority, and the key pair that signs service accounts' tokens."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._configuration.write_text(_CONFIGURATION)
        extensions = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"]
        self._request("ca", "/CN=pretrain-cluster", extensions, [])
        run(["openssl", "genpkey", *_EC_KEY, "-out", self.service_account_key])
        run(["openssl", "pkey", "-in", self.service_account_key, "-pubout", "-out", self.service_account_public_key])

    @property
    def service_account_key(self) -> Path:
        """Signs service accounts' tokens."""
        return self.directory / "service-account.key"

    @property
    def service_account_public_key(self) -> Path:
        """Verifies service accounts' tokens."""
        return self.directory / "service-account.pub"

    @property
    def _configuration(self) -> Path:
        return self.directory / "openssl.conf"

    def issue(self, name: str, subject: str, alternative_names: str = "") -> tuple[Path, Path]:
        """Sign a certificate for a client, or with `alternative_names` (`DNS:x,IP:y`) for a server too.

        Returns:
            The paths of certificate and key.
        """
        extensions = ["basicConstraints=critical,CA:FALSE", "extendedKeyUsage=serverAuth,clientAuth"]
        extensions += [f"subjectAltName={alternative_names}"] if alternative_names else []
        return self._request(name, subject, extensions, ["-CA", self.certificate, "-CAkey", self.directory / "ca.key"])

    def _request(self, name: str, subject: str, extensions: list[str], signer: list[str | Path]) -> tuple[Path, Path]:
        certificate, key = self.directory / f"{name}.crt", self.directory / f"{name}.key"
        command: list[str | Path] = [
            "openssl",
            "req",
            "-x509",
            "-config",
            self._configuration,
            "-nodes",
            "-days",
            str(DAYS),
        ]
        command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", subject, *signer]
        for extension in extensions:
            command += ["-addext", extension]
        run([*command, "-keyout", key, "-out", certificate], doing=f"signing the certificate {name}")
        return certificate, key

    def kubeconfig(self, path: Path, server: str, certificate: Path, key: Path) -> Path:
        """Write a kubeconfig that holds all it needs, readable by its owner alone; gives its path."""
        cluster = {"server": server, "certificate-authority-data": _encoded(self.certificate)}
        user = {"client-certificate-data": _encoded(certificate), "client-key-data": _encoded(key)}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "pretrain", "cluster": cluster}],
            "users": [{"name": "pretrain", "user": user}],
            "contexts": [{"name": "pretrain", "context": {"cluster": "pretrain", "user": "pretrain"}}],
            "current-context": "pretrain",
        }
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path


_EC_KEY = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
