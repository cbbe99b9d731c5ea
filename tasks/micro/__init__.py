"""The micro world: word problems made here, and the small base model that half knows them (README.md beside this)."""
