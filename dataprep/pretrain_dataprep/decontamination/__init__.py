"""What of evaluation sets is in the corpus."""
