"""May we mail this contact on this topic? Consent records, today's state, and the one judge."""
