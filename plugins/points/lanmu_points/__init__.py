"""积分: what earns points, and the phone page on which members check in and redeem."""

from lanmu_points.plugin import PointsPlugin

__all__ = ["PointsPlugin"]
