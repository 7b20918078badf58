"""`python -m pretrain_api.generate`: write what is made from the models."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import yaml

from pretrain_api.crd import custom_resource_definition
from pretrain_api.policy import admission_policy, admission_policy_binding
from pretrain_api.reference import reference

# The CRD is a template of the chart, not in its crds/ folder: helm never upgrades what is in there.
# With it comes the policy that checks what the CRD doesn't.
CRD_PATH = Path("charts/pretrain-operator/templates/pretrainjobs.yaml")
REFERENCE_PATH = Path("docs/reference.md")


def generated() -> dict[Path, str]:
    """Return the contents of the generated files by their path in the repository."""
    return {CRD_PATH: _definition(), REFERENCE_PATH: reference()}


def _definition() -> str:
    documents = (custom_resource_definition(), admission_policy(), admission_policy_binding())
    parts = [yaml.safe_dump(each, sort_keys=False, width=120, allow_unicode=True) for each in documents]
    return "# Made from pretrain_api by `make generate`.\n" + "---\n".join(parts)


def main(root: Path) -> None:
    """Write the generated files below `root`, each one whole or not at all."""
    for path, text in generated().items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(target)
        print(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2])
