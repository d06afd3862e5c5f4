"""``python -m nescio.cli``."""

from nescio.cli.main import main

if __name__ == "__main__":
    main()
