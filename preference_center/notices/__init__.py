"""What service mail is owed? Letters to one person: confirm an address, a new link."""
