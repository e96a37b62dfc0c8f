"""The kind `annotations`: boxes on the photos of recognitions."""
