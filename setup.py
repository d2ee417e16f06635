"""For Beam, which ships this code to remote workers with `--setup_file`.

Name, version and dependencies stand in pyproject.toml alone.
"""

from setuptools import setup

setup()
