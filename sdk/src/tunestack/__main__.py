"""`python -m tunestack`: the command line."""

from tunestack.cli import main

if __name__ == "__main__":
    main()
