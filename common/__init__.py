"""Small pieces that several stages share."""
