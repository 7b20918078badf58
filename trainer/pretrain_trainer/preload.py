"""Imports all that a rank needs, without touching an accelerator: for a process that forks ranks from itself.

torch._dynamo is among it because torch's optimisers import it when the first one is made.
"""

import torch._dynamo

import pretrain_trainer.run

__all__ = ["pretrain_trainer", "torch"]
