"""Whom must we never mail? Suppressions, keyed by a keyed hash of the address so that they outlive erasure."""
