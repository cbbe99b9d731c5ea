"""Python programs that nobody trusts, each in a sandbox that it cannot leave, with limits (bubblewrap)."""

from infra.sandbox.machine import NoSandbox
from infra.sandbox.run import Ended, Limits, Sandbox

__all__ = ["Ended", "Limits", "NoSandbox", "Sandbox"]
