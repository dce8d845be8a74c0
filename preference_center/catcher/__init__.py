"""The mail catcher of the demo: a real SMTP server on loopback that delivers nothing, and inbox pages to look at what came."""
