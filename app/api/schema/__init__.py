"""Bodies of requests and answers, and their OpenAPI document."""
