"""`python -m preference_center` is the same as `preference-center`."""

from preference_center.cli import main

main()
