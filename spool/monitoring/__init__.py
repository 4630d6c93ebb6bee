"""What programs tell of themselves: signs of life, and what they have counted."""
