"""What two processes must agree on. Trainers, which know nothing else of the factory, may import it: pydantic only."""
