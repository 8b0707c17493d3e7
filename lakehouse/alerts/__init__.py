"""Alert rules as data, and what follows from them without touching the world."""
