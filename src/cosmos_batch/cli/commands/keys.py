"""`cosmos-batch keys`. It imports little of the service, so that it starts fast."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from cosmos_batch.cli.render.text import safe
from cosmos_batch.cli.service_location import ServiceLocation
from cosmos_batch.service.api_keys import make_key, revoke_key


def add_key_command(location: ServiceLocation, name: str, tenant: str) -> int:
    """Create an API key of a tenant, or of none (""), and print it; returns the exit code.

    Raises InputError and LedgerError.
    """
    ledger = location.open()
    try:
        print(make_key(ledger, name, tenant))
    finally:
        ledger.close()
    print("keep it: it is stored nowhere and not shown again", file=sys.stderr)
    return 0


def list_keys_command(location: ServiceLocation) -> int:
    """Print the names of all keys; returns the exit code. Raises LedgerError."""

    def day(seconds: float) -> str:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")

    ledger = location.open()
    try:
        for key in ledger.api_keys.all():
            state = f"revoked {day(key.revoked)}" if key.revoked is not None else "in force"
            tenant = f"\tof {safe(key.tenant)}" if key.tenant else ""
            print(f"{safe(key.name)}\tmade {day(key.created)}\t{state}{tenant}")
    finally:
        ledger.close()
    return 0


def revoke_key_command(location: ServiceLocation, name: str) -> int:
    """Revoke a key; returns the exit code. Raises InputError and LedgerError."""
    ledger = location.open()
    try:
        revoke_key(ledger, name)
    finally:
        ledger.close()
    print(f"{safe(name)} is revoked")
    return 0
