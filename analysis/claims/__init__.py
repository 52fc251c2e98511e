"""The report's conclusions and ours as rules in code: statistics, verdicts, and one file for each topic."""
