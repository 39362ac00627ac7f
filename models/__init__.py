"""What each model is: ``training`` makes models, ``app`` serves them, both from here."""
