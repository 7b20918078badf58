"""Using a model that was trained: text, scores of answers, int8 weights. Started as processes by the command line."""
