"""The local stack: Prefect server, S3 server and workers, started, watched and ended."""
