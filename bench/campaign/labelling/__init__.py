"""Pictures without labels put into class folders by a person, through a page of this computer's own."""
