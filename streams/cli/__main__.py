"""`python -m streams.cli`: the command line where `yiwang` is not on the path."""

from streams.cli import main

main()
