"""Lets Beam ship this code to remote workers with `--setup_file`; all facts are in pyproject.toml."""

from setuptools import setup

setup()
