"""The stages of a round: each reads tables, calls the thinking, and writes tables. One file each, by its name."""
