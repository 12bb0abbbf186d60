"""The fixtures of the studio's tests."""

from conftest_studio import client, made, reader, root

__all__ = ["client", "made", "reader", "root"]
