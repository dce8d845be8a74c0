"""What the law and the contact's own limits ask of a consent: bases, countries, how long, how often."""
