"""What several providers are made of: proofs of where a post comes from, and facts out of what it says."""
