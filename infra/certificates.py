"""The certificates by which servers are believed, read once a process: each client would read its own, in 20 ms."""

import ssl
from functools import cache

import httpx


@cache
def certificates() -> ssl.SSLContext:
    """Those of httpx's own default, for its `verify`. Neither SSL_CERT_FILE nor a proxy of the environment counts."""
    return httpx.create_ssl_context(trust_env=False)
