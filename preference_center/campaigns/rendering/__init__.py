"""From a saved version to one contact's mail: merge fields checked, compiled once, filled in for each."""
