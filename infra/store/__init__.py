"""The object store: what a stage wrote, as a manifest and objects named by digest; and the rounds published there."""

from infra.store.bucket import Damaged
from infra.store.manifest import Manifest, Ref, StoredObject
from infra.store.s3 import StoreError
from infra.store.store import Store

__all__ = ["Damaged", "Manifest", "Ref", "Store", "StoreError", "StoredObject"]
