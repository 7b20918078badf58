"""Is this a PretrainJob that can run? All problems at once, in plain words."""

from pretrain_api.problems import Problem
from pretrain_api.validation.rules.batch import check_world
from pretrain_api.validation.validate import (
    ValidationResult,
    read_text,
    validate_document,
    validate_file,
    validate_text,
)

__all__ = [
    "Problem",
    "ValidationResult",
    "check_world",
    "read_text",
    "validate_document",
    "validate_file",
    "validate_text",
]
