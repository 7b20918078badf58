"""The stages: each module has `run(context)`, which does one work item and returns its counts."""
