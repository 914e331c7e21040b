"""What goes over the wire: OpenAI's objects with our fields beside theirs. OpenAPI is made of them."""
