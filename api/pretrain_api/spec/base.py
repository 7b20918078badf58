"""What all parts of the specification have in common."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel


class SpecModel(BaseModel):
    """A part of a PretrainJob: camelCase in YAML, snake_case in Python, unknown fields refused, immutable."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        defer_build=True,
        frozen=True,
        use_attribute_docstrings=True,
        validate_default=True,
        allow_inf_nan=False,
    )


Integer = Annotated[int, Field(strict=True)]
PositiveInteger = Annotated[int, Field(strict=True, gt=0)]
NonNegativeInteger = Annotated[int, Field(strict=True, ge=0)]
Number = Annotated[float, Field(strict=True)]
PositiveNumber = Annotated[float, Field(strict=True, gt=0)]
NonNegativeNumber = Annotated[float, Field(strict=True, ge=0)]
Fraction = Annotated[float, Field(strict=True, ge=0, le=1)]
Boolean = Annotated[bool, Field(strict=True)]

NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
CLAIM_SIZE_PATTERN = r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$"
STORAGE_URI_PATTERN = r"^((pvc|s3|gs|file)://.+)?$"
LABEL_KEY_PATTERN = r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
PATTERN_MEANINGS: dict[str, str] = {
    NAME_PATTERN: "lower-case letters, digits and hyphens, a letter or digit first and last",
    CLAIM_SIZE_PATTERN: "a size in bytes, such as 500Gi or 2Ti",
    STORAGE_URI_PATTERN: "pvc://claim/path, s3://bucket/prefix, gs://bucket/prefix or file:///path",
    LABEL_KEY_PATTERN: "the key of a label of nodes, such as topology.kubernetes.io/zone",
}
"""In words, for messages; every pattern of the specification is a key."""

Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=40)]
"""A DNS-1123 label short enough to be part of the names of children."""

Text = Annotated[str, Field(min_length=1, max_length=2048)]
"""Text of at least a character; bounded so that the API server can tell the cost of its rules."""

KubernetesName = Annotated[str, Field(min_length=1, max_length=253)]
"""The name of an object of the cluster."""

LabelKey = Annotated[str, Field(pattern=LABEL_KEY_PATTERN, max_length=317)]
"""The key of a label, with its prefix."""

KubernetesObject = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
]
"""A piece of a Kubernetes object that is passed on as it is; the API server validates it."""
