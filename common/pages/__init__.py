"""What every HTML page is made of: template and style, inline SVG, numbers in words."""
