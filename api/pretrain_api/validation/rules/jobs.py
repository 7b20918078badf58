"""What makes a job whole."""

from __future__ import annotations

from collections.abc import Iterator

from pretrain_api.problems import Finding
from pretrain_api.validation.rules.registry import RuleContext, rule


@rule("spec.model", "spec.training")
def model_and_training_go_together(context: RuleContext) -> Iterator[Finding]:
    """A job trains, with both, or only prepares, with neither."""
    model, training = context.spec.model, context.training
    if model is not None and training is None:
        yield Finding(
            "spec.training", "is missing; a model needs it: write it, or remove spec.model to prepare data only"
        )
    if training is not None and model is None:
        yield Finding("spec.model", "is missing; training needs it: write for example model: {preset: llama-7b}")


@rule("spec.data.prepared", "spec.data.tokenized", "spec.model", "spec.training")
def there_is_something_to_do(context: RuleContext) -> Iterator[Finding]:
    """Data that is ready and nothing to train leaves nothing to do."""
    data = context.spec.data
    if context.spec.model is None and context.training is None and not data.sources:
        ready = "prepared" if data.prepared else "tokenized" if data.tokenized else None
        if ready:
            yield Finding(
                f"spec.data.{ready}", "is ready data, and nothing is trained; write spec.model and spec.training"
            )
