"""What `pretrain run` shows: live on a terminal, plain lines elsewhere, JSON for machines."""
