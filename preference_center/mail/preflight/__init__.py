"""What the DNS must say before much mail leaves: SPF, DKIM, DMARC, the bounce domain, the names of our addresses (S90)."""
