"""Launchers: how the runs of a suite are spread over processes and machines."""
