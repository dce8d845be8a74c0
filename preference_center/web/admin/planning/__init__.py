"""Pages on which a campaign is planned, looked at and let go, and the segments it is for."""
