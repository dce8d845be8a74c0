"""Who do we know? Contacts, their addresses, and the files they come from."""
