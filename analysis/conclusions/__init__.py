"""The 27 conclusions as rules, one module a group of the report's sections."""
