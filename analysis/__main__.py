"""`python -m analysis` writes the report, as `python -m analysis.report` does."""

from analysis.report import main

if __name__ == "__main__":
    raise SystemExit(main())
