"""The command `cpl`: what a user asks at a terminal, and what it prints."""
