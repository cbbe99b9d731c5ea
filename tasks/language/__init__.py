"""The text formats of questions, plans and solutions, the worked examples of them, and what a plan may not say."""
