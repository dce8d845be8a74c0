"""How a message is built, signed and handed over to a relay."""
