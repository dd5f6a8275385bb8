"""The values every room shares: frozen, slotted, without IO. Rooms import these, never one another's insides."""
