"""After a restore or a failover: nothing leaves until what had left is settled."""
