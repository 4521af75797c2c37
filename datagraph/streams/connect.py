"""From a URL to a store."""

from __future__ import annotations

from ..exceptions import StoreConfigError
from .address import Address
from .codec import Codec, MsgpackCodec
from .store import Store


async def store_at(address: Address | str | None, codec: Codec | None = None, *, give_up: float = 60.0) -> Store:
    """The store at that address: ``memory://``, a Valkey or Redis URL, or None for the user's own embedded Valkey.

    It is not connected yet: enter it. Raises StoreConfigError for an address that cannot be one.
    """
    # Each kind is imported when one is made: redis alone takes as long to import as the rest of datagraph.
    if isinstance(address, str) and address.startswith("memory:"):
        if codec is not None:
            raise StoreConfigError("memory:// hands values over as they are and takes no codec: leave codec= out")
        from .memory import MemoryStore

        return MemoryStore(address)
    from .valkey import ValkeyStore

    if address is None:
        from .embedded import embedded_url

        address = await embedded_url()
    return ValkeyStore(address, codec=codec if codec is not None else MsgpackCodec(), give_up=give_up)
