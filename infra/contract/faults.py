"""What is wrong with a document that somebody else wrote, in one line."""

from pydantic import ValidationError


def described(problem: ValidationError, most: int | None = None) -> str:
    """Every fault by its field, or the first `most`. What the document says there is hostile, and left out."""
    errors = problem.errors(include_url=False, include_input=False)
    said = [
        ": ".join(filter(None, [".".join(map(str, error["loc"])), error["msg"].removeprefix("Value error, ")]))
        for error in errors[:most]
    ]
    return "; ".join(said + ["…"] * (len(errors) > len(said)))
