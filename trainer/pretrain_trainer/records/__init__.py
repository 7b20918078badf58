"""What a run writes down: metrics, ledger, progress, evaluations."""
