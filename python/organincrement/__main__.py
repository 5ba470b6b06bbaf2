"""`python -m organincrement` is the command line."""

from organincrement.cli.main import run

if __name__ == "__main__":
    run()
