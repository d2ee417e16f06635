"""What a person at the terminal sees, and what is kept from them."""
