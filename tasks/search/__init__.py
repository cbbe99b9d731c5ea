"""Searches over steps: pure methods on a pure tree, and the coroutines that let a policy grow many of them (`grow`)."""
