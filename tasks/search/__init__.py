"""Plan MCTS: a pure, synchronous tree (`tree`) and the coroutines that let a policy grow many of them (`grow`)."""
