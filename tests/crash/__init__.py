"""The kill -9 checker: writers, a model of what they were told, and a comparison after each crash."""
