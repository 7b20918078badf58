"""The perplexity below which a share of the documents is, from a sample of the sources."""

from __future__ import annotations

import numpy as np

from pretrain_api.names import Reason
from pretrain_api.spec.filters import PerplexityFilter
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.errors import InputError
from pretrain_dataprep.filtering.ngram_model import NgramModel
from pretrain_dataprep.filtering.sampling import sieved_sample


def perplexity_percentile(context: StageContext, model: NgramModel, options: PerplexityFilter) -> float:
    """Return the perplexity that `options.max_percentile` per cent of the documents of all sources have at most.

    Documents count that the rules of the clean stage leave. Raises InputError if there are none.
    """
    found = [
        model.perplexities(sieve.batch)
        for sieve in sieved_sample(context, options.percentile_sample_bytes)
        if len(sieve.batch) > 0
    ]
    perplexities = np.concatenate([*found, np.empty(0)])
    perplexities = perplexities[~np.isnan(perplexities)]
    if len(perplexities) == 0:
        raise InputError(
            "spec.data.clean.perplexity.maxPercentile: the rules leave no document of the sample; relax them",
            Reason.EMPTY_CORPUS,
        )
    return float(np.percentile(perplexities, options.max_percentile or 100.0))
