"""Preference Center: nobody is mailed without valid consent, and leaving takes one click."""
