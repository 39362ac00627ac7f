"""What each model is: shared by ``training``, which makes models, and ``app``, which serves them."""
