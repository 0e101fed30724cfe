"""`python -m schematune` is the command line."""

from schematune.cli import main

if __name__ == "__main__":
    main()
