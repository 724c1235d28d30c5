"""A module for each noun of the service, each with a ``router``; ``application.ROUTERS`` lists
them."""
