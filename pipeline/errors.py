"""The one exception that users see, under the pipeline's own name."""

from models.errors import ThimbleError

__all__ = ["ThimbleError"]
