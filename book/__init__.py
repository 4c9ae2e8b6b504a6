"""The pages of the book; `book._tools` executes and checks the notebooks among them."""
