"""How fast samples of each objective are built, beside what others do."""
