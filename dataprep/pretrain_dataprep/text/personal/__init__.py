"""What personal data and secrets look like, kind by kind."""
