"""Draw the icons of the extension and its modules: `python Resources/tools/draw_icons.py`; needs PySide6.

One language for all four: a kidney on a dark tile, so that they read on Slicer's light and dark theme alike, and a
badge that says what the module does to it. Blue and orange, which colour-blind people tell apart.
"""

import math
from collections.abc import Callable
from pathlib import Path

from PySide6 import QtCore, QtGui

SIDE = 128
_FINER = 8  # drawn so many times larger, then reduced
ROOT = Path(__file__).resolve().parents[2]

NIGHT, DEEP = QtGui.QColor("#1d4e68"), QtGui.QColor("#0d2536")
KIDNEY, KIDNEY_SHADE, VESSEL = QtGui.QColor("#bfe3ee"), QtGui.QColor("#74b8d0"), QtGui.QColor("#63a9c4")
ORANGE, ORANGE_SHADE, INK = QtGui.QColor("#ffb454"), QtGui.QColor("#f08c2e"), QtGui.QColor("#0d2536")

Points = list[tuple[float, float]]
_BADGE = QtCore.QPointF(90.5, 90.5)
# the hilum looks to the right; in units of the icon, 128 wide
_KIDNEY: Points = [
    (48, 17), (66, 17), (79, 28), (81, 43), (71, 53), (65, 63), (69, 74), (77, 85), (76, 99), (63, 110), (45, 109),
    (29, 96), (20, 76), (20, 52), (30, 30),
]  # fmt: skip


def main() -> None:
    """Write the four pictures."""
    save(ROOT / "Resources/Icons/OrganIncrementExtension.png", _extension)
    modules = ROOT / "OrganIncrement"
    for name, badge in (("OrganIncrement", _plus), ("OrganAnnotate", _pencil), ("OrganReview", _check)):
        save(modules / name / f"Resources/Icons/{name}.png", lambda painter, badge=badge: _module(painter, badge))


def save(path: Path, draw: Callable[[QtGui.QPainter], None], side: int = SIDE) -> None:
    """Draw in units of 128 and write a PNG with a transparent background."""
    image = QtGui.QImage(side * _FINER, side * _FINER, QtGui.QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(QtCore.Qt.GlobalColor.transparent)
    painter = QtGui.QPainter(image)
    painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
    painter.scale(side * _FINER / 128, side * _FINER / 128)
    draw(painter)
    painter.end()
    path.parent.mkdir(parents=True, exist_ok=True)
    smooth = QtCore.Qt.TransformationMode.SmoothTransformation
    image.scaled(side, side, QtCore.Qt.AspectRatioMode.KeepAspectRatio, smooth).save(str(path), "PNG")


def _module(painter: QtGui.QPainter, badge: Callable[[QtGui.QPainter], None]) -> None:
    _tile(painter)
    painter.save()
    painter.translate(52, 60)
    painter.rotate(-24)  # so that the hilum shows above the badge
    painter.translate(-50, -63)
    _organ(painter)
    painter.restore()
    _badge(painter, badge)


def _extension(painter: QtGui.QPainter) -> None:
    """One organ is known, one more is added: what the extension is about."""
    _tile(painter)
    painter.save()
    painter.translate(-1, 10)
    painter.scale(0.72, 0.72)
    _organ(painter)
    painter.restore()
    painter.save()
    painter.translate(129, 10)
    painter.scale(-0.72, 0.72)
    _organ(painter, ORANGE, ORANGE_SHADE, QtGui.QColor("#e07f22"))
    painter.restore()
    _sign(painter, QtCore.QPointF(64, 101), 14, 9, QtGui.QColor("#ffffff"))


def _tile(painter: QtGui.QPainter) -> None:
    gradient = QtGui.QLinearGradient(0, 0, 0, 128)
    gradient.setColorAt(0, NIGHT)
    gradient.setColorAt(1, DEEP)
    _fill(painter, gradient)
    painter.drawRoundedRect(QtCore.QRectF(3, 3, 122, 122), 27, 27)


def _organ(
    painter: QtGui.QPainter,
    light: QtGui.QColor = KIDNEY,
    shade: QtGui.QColor = KIDNEY_SHADE,
    vessel: QtGui.QColor = VESSEL,
) -> None:
    gradient = QtGui.QLinearGradient(20, 20, 80, 110)
    gradient.setColorAt(0, light)
    gradient.setColorAt(1, shade)
    _fill(painter, gradient)
    painter.drawPath(_closed(_KIDNEY))
    pen = QtGui.QPen(vessel, 7)
    pen.setCapStyle(QtCore.Qt.PenCapStyle.RoundCap)
    pen.setJoinStyle(QtCore.Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    painter.setBrush(QtCore.Qt.BrushStyle.NoBrush)
    for turn in (-1, 0, 1):  # the calyces, which make a bean a kidney
        end = QtCore.QPointF(66 - 26 * math.cos(0.75 * turn), 62 + 26 * math.sin(0.75 * turn))
        painter.drawLine(QtCore.QPointF(64, 62), end)


def _badge(painter: QtGui.QPainter, symbol: Callable[[QtGui.QPainter], None]) -> None:
    """A disc at the lower right, cut out of what lies below it."""
    _fill(painter, QtGui.QBrush(DEEP))
    painter.drawEllipse(_BADGE, 34, 34)
    gradient = QtGui.QLinearGradient(0, 60, 0, 122)
    gradient.setColorAt(0, ORANGE)
    gradient.setColorAt(1, ORANGE_SHADE)
    _fill(painter, gradient)
    painter.drawEllipse(_BADGE, 29.5, 29.5)
    symbol(painter)


def _plus(painter: QtGui.QPainter) -> None:
    _sign(painter, _BADGE, 16, 11, INK)


def _sign(painter: QtGui.QPainter, centre: QtCore.QPointF, arm: float, width: float, color: QtGui.QColor) -> None:
    painter.setPen(_round_pen(color, width))
    painter.drawLine(centre - QtCore.QPointF(arm, 0), centre + QtCore.QPointF(arm, 0))
    painter.drawLine(centre - QtCore.QPointF(0, arm), centre + QtCore.QPointF(0, arm))


def _check(painter: QtGui.QPainter) -> None:
    painter.setPen(_round_pen(INK, 10.5))
    painter.setBrush(QtCore.Qt.BrushStyle.NoBrush)
    painter.drawPolyline([_BADGE + QtCore.QPointF(*corner) for corner in ((-15, 1), (-4, 12), (16, -12))])


def _pencil(painter: QtGui.QPainter) -> None:
    painter.save()
    painter.translate(_BADGE)
    painter.rotate(45)
    _fill(painter, QtGui.QBrush(INK))
    painter.drawRoundedRect(QtCore.QRectF(-8, -26, 16, 9), 3, 3)
    painter.drawRect(QtCore.QRectF(-8, -14, 16, 24))
    tip = QtGui.QPolygonF([QtCore.QPointF(-8, 13), QtCore.QPointF(8, 13), QtCore.QPointF(0, 27)])
    painter.drawPolygon(tip)
    painter.restore()


def _fill(painter: QtGui.QPainter, brush: QtGui.QBrush | QtGui.QGradient) -> None:
    painter.setPen(QtCore.Qt.PenStyle.NoPen)
    painter.setBrush(brush)


def _round_pen(color: QtGui.QColor, width: float) -> QtGui.QPen:
    pen = QtGui.QPen(color, width)
    pen.setCapStyle(QtCore.Qt.PenCapStyle.RoundCap)
    pen.setJoinStyle(QtCore.Qt.PenJoinStyle.RoundJoin)
    return pen


def _closed(points: Points) -> QtGui.QPainterPath:
    """A smooth closed curve through the points (Catmull-Rom)."""
    corners = [QtCore.QPointF(*point) for point in points]
    path = QtGui.QPainterPath(corners[0])
    for i, here in enumerate(corners):
        before, after, later = corners[i - 1], corners[(i + 1) % len(corners)], corners[(i + 2) % len(corners)]
        path.cubicTo(here + (after - before) / 6, after - (later - here) / 6, after)
    path.closeSubpath()
    return path


if __name__ == "__main__":
    main()
