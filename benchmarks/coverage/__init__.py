"""How much of what people build can be exported, and whether all that is accepted is right."""
