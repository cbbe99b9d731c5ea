"""What evidence teaches: rows of trees in, rows of lessons out. Pure functions over one question."""
