"""The cluster as the command line sees it: over the API server alone, with the rights of whoever calls."""
