"""What runs first in the sandbox: it takes the limits and a user of its own upon itself, then becomes the program.

Standard library only; `infra/sandbox/machine.py` gives its text to the interpreter.
"""

import marshal
import os
import resource
import sys

CONFINED = b"confined\n"
"""What is written first, when the limits hold: without it the program never ran."""


def confine(user: int | None, limits: dict[str, tuple[int, int]]) -> None:
    """Gives up root for good where a user is named, and lowers the limits (RLIMIT name: soft, hard)."""
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    for name, limit in limits.items():
        resource.setrlimit(getattr(resource, name), limit)
    os.environ.clear()


def become() -> None:
    with open(int(sys.argv[1]), "rb") as given:
        user, limits, source, arguments = marshal.load(given)
    confine(user, limits)
    sys.argv = ["program", *arguments]
    os.write(1, CONFINED)
    exec(source, {"__name__": "__main__"})


if __name__ == "__main__":
    become()
