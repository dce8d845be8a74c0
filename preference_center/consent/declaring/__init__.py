"""Consent that an owner declares with a file, row by row as the ledger would decide."""
