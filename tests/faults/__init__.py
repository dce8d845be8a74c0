"""The fault matrix: what a campaign comes to when workers, stores, the relay or the clock fail. One test a row, named after it.

`test_*.py` run in `make test`; `long_*.py` take minutes and run in `make faults` besides. Each prints its seed, the kills, the
copies and the uncertain.
"""
