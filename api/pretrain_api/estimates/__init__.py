"""What a run will need, before it starts: parameters, FLOPs, time, memory, storage, failures, cost.

Pure functions; every formula's source is beside it. `estimate(plan_of_job(job))` and `estimate_document` are the way
in.
"""

from pretrain_api.estimates.document import estimate_document, preset_document
from pretrain_api.estimates.estimate import Estimate, estimate
from pretrain_api.estimates.plan import Plan, plan_of_job, plan_of_preset
from pretrain_api.estimates.published import PublishedModel, published_models
from pretrain_api.estimates.settings import DocumentedSettings, documented_settings

__all__ = [
    "DocumentedSettings",
    "Estimate",
    "Plan",
    "PublishedModel",
    "documented_settings",
    "estimate",
    "estimate_document",
    "plan_of_job",
    "plan_of_preset",
    "preset_document",
    "published_models",
]
