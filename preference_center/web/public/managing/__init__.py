"""Pages for a person we know: choices, own records, own data, a new address."""
