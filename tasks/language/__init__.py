"""The text format of questions, plans and solutions, the worked examples of it, and what a plan may not say."""
