"""The tests; some share tables of cases, so they are a package."""
