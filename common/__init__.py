"""What several floors share: files, versions, routing, pages, statistics. Imports `schemas`."""
