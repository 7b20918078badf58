"""The local engine: the plan of a job, carried out by processes of this machine."""
