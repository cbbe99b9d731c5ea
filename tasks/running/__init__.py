"""How any stage runs: its workplace and key, its parts, its progress, its served models; what a run records."""
