"""Blocks of the preparation on plain files, without a job: `python -m pretrain_dataprep clean --help`."""
