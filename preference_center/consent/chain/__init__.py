"""The chain over consent records: sealing, checkpoints, verifying, and proofs that can be checked by anybody."""
