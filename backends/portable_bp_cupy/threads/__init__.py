"""Populations of small networks: one kernel, in which a thread trains a member, or several share its rows."""
