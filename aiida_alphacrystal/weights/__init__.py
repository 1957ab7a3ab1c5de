"""What was learnt from known crystals; each file has a card beside it."""
