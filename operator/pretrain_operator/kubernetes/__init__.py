"""The Kubernetes engine: carries out the plan of jobs with the children of a cluster."""
