"""What holds for every test: a property is never judged by how long the machine took for one example."""

from hypothesis import settings

settings.register_profile("untimed", parent=settings(), deadline=None)
settings.load_profile("untimed")
