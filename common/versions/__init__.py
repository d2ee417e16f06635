"""The push folder: numbered versions, their manifests, and what a later run takes from them."""
