"""Painters of scenes where buildings dominate."""

import numpy as np

from training.simulator.pictures.canvas import WIDTH, Canvas


def castle(canvas: Canvas) -> None:
    """Paint walls with battlements and towers on a hill."""
    canvas.ridge(
        canvas.horizon + 10, canvas.between(10, 60), colour=canvas.tone((85, 115, 70)), rough=0.3
    )
    stone = canvas.tone((165, 150, 130), 22)
    foot = canvas.horizon + canvas.between(5, 50)
    left, right = canvas.between(10, 80), canvas.between(170, 246)
    wall = foot - canvas.between(35, 80)
    canvas.draw.rectangle((left, wall, right, foot), fill=stone)
    _battlements(canvas, left, right, top=wall, stone=stone)
    roofs = canvas.chance(0.5)
    for _ in canvas.several(2, 5):
        x = canvas.between(left, right)
        half, top = canvas.between(8, 18), foot - canvas.between(70, 150)
        shade = tuple(int(value * canvas.between(0.8, 1.0)) for value in stone)
        canvas.draw.rectangle((x - half, top, x + half, foot), fill=shade)
        _battlements(canvas, x - half, x + half, top=top, stone=shade)
        if roofs:
            corners = [(x - half - 3, top), (x + half + 3, top), (x, top - half * 2.2)]
            canvas.draw.polygon(corners, canvas.tone((120, 65, 55)))
        slit = canvas.tone((40, 35, 35))
        canvas.draw.rectangle((x - 2, top + 14, x + 2, top + 24), fill=slit)
    gate = (left + right) / 2
    canvas.draw.rectangle((gate - 8, foot - 22, gate + 8, foot), fill=canvas.tone((50, 40, 35)))
    canvas.ridge(foot + 14, canvas.between(8, 24), colour=canvas.tone((90, 125, 60)), rough=0.2)
    if canvas.chance(0.3):
        canvas.water(foot + 20, calm=0.9)
    for _ in canvas.several(2, 12):
        canvas.bush(
            canvas.between(0, WIDTH),
            canvas.between(foot + 8, 250),
            size=canvas.between(5, 16),
            colour=canvas.tone((60, 95, 45)),
        )
    canvas.people(foot + 10, 250, most=18)


def _battlements(
    canvas: Canvas, left: float, right: float, *, top: float, stone: tuple[int, ...]
) -> None:
    for x in np.arange(left, right - 5, 9):
        canvas.draw.rectangle((x, top - 5, x + 5, top), fill=stone)


def city(canvas: Canvas) -> None:
    """Paint a skyline of high-rise buildings, sometimes above water or a street."""
    foot = canvas.horizon + canvas.between(15, 90)
    for depth in (0.6, 0.8, 1.0):
        x = canvas.between(-20, 0)
        while x < WIDTH:
            wide, tall = canvas.between(14, 38), canvas.between(30, 150) * (1.3 - depth * 0.3)
            grey = canvas.between(90, 190)
            wall = canvas.tone((grey * 0.95, grey, grey * 1.08), 14)
            canvas.house((x, foot - tall, x + wide, foot), wall)
            if canvas.chance(0.12):
                middle = x + wide / 2
                canvas.draw.line(
                    (middle, foot - tall, middle, foot - tall - 25), fill=wall, width=2
                )
            x += wide + canvas.between(-4, 8)
    if canvas.chance(0.4):
        canvas.water(foot, calm=canvas.between(0.3, 1))
        return
    canvas.ground(foot, canvas.tone((105, 105, 110)))
    for _ in range(int(canvas.crowd * 14)):
        x, y = canvas.between(0, 240), canvas.between(foot + 6, 250)
        canvas.draw.rectangle((x, y - 7, x + 18, y), fill=canvas.any_tone(30, 230))
    canvas.people(foot + 4, 250)


def harbour(canvas: Canvas) -> None:
    """Paint boats on the water before a row of houses, or at a quay."""
    quay = canvas.horizon + canvas.between(0, 25)
    _house_row(canvas, quay, tall=(18, 65))
    canvas.water(quay, calm=canvas.between(0.3, 0.9))
    for step in sorted(canvas.rng.uniform(0, 1, int(canvas.rng.integers(4, 15)))):
        y = quay + 8 + (235 - quay) * step
        canvas.boat(canvas.between(-15, 240), y, size=18 + 45 * step * canvas.between(0.7, 1.3))
    if canvas.chance(0.35):
        canvas.draw.polygon(
            [(0, 225), (canvas.between(60, 250), 235), (WIDTH, WIDTH), (0, WIDTH)],
            canvas.tone((150, 140, 130)),
        )
        canvas.people(235, 252, most=14)


def _house_row(canvas: Canvas, foot: float, *, tall: tuple[float, float]) -> None:
    x = canvas.between(-20, 0)
    while x < WIDTH:
        wide, top = canvas.between(18, 42), foot - canvas.between(*tall)
        warm = canvas.between(150, 235)
        canvas.house((x, top, x + wide, foot), canvas.tone((warm, warm * 0.85, warm * 0.65), 22))
        if canvas.chance(0.75):
            canvas.draw.polygon(
                [(x - 1, top), (x + wide + 1, top), (x + wide / 2, top - 14)],
                canvas.tone((165, 85, 60)),
            )
        x += wide


def lighthouse(canvas: Canvas) -> None:
    """Paint a tower on a rocky cape by the sea."""
    canvas.water(canvas.horizon, calm=canvas.between(0.0, 0.7))
    foot = canvas.horizon + canvas.between(0, 60)
    rock = canvas.tone((110, 105, 95) if canvas.chance(0.6) else (95, 125, 70))
    x = canvas.between(50, 206)
    reach = canvas.between(50, 150)
    shore = [(x + reach, foot + 60), (x + reach + 40, WIDTH)]
    canvas.draw.polygon([(x - reach, WIDTH), (x - 30, foot), (x + 25, foot - 4), *shore], rock)
    tall, half = canvas.between(60, 150), canvas.between(7, 15)
    top = foot - tall
    corners = [(x - half, foot), (x + half, foot), (x + half * 0.6, top), (x - half * 0.6, top)]
    canvas.draw.polygon(corners, canvas.tone((238, 235, 228), 8))
    if canvas.chance(0.6):
        band = canvas.tone((200, 50, 45) if canvas.chance(0.7) else (50, 60, 110))
        for part in (0.15, 0.5, 0.8):
            y, wide = foot - tall * part, half * (1 - 0.4 * part)
            canvas.draw.rectangle((x - wide, y - tall * 0.13, x + wide, y), fill=band)
    lamp, roof = canvas.tone((250, 225, 120)), canvas.tone((160, 50, 45))
    canvas.draw.rectangle((x - half * 0.5, top - 12, x + half * 0.5, top), fill=lamp)
    canvas.draw.polygon(
        [(x - half * 0.7, top - 12), (x + half * 0.7, top - 12), (x, top - 22)], roof
    )
    if canvas.chance(0.4):
        canvas.house((x + half, foot - 18, x + half + 34, foot), canvas.tone((235, 230, 220)))
    for _ in canvas.several(0, 2):
        canvas.boat(
            canvas.between(0, 230),
            canvas.between(canvas.horizon + 10, 235),
            size=canvas.between(10, 26),
        )
    canvas.people(foot + 15, 245, most=10)


def old_town(canvas: Canvas) -> None:
    """Paint a street or a square between old houses, sometimes with a church tower."""
    foot = canvas.horizon + canvas.between(30, 80)
    if canvas.chance(0.5):
        x, top = canvas.between(60, 200), foot - canvas.between(110, 170)
        stone = canvas.tone((190, 170, 145))
        canvas.draw.rectangle((x - 13, top, x + 13, foot), fill=stone)
        canvas.draw.polygon(
            [(x - 16, top), (x + 16, top), (x, top - 34)], canvas.tone((125, 80, 65))
        )
    _house_row(canvas, foot, tall=(45, 120))
    canvas.ground(foot, canvas.tone((165, 150, 135)))
    if canvas.chance(0.55):
        for side in (0, WIDTH):
            inner = abs(side - canvas.between(55, 95))
            warm = canvas.between(150, 230)
            wall = canvas.tone((warm, warm * 0.84, warm * 0.62))
            corners = [(side, 0), (inner, foot - 80), (inner, foot + 5), (side, WIDTH)]
            canvas.draw.polygon(corners, wall)
            for part in (0.2, 0.45, 0.7):
                x, pane = side + (inner - side) * part, canvas.tone((70, 75, 80))
                canvas.draw.rectangle((x - 5, 70 + 40 * part, x + 5, 95 + 40 * part), fill=pane)
    for _ in range(40):
        x, y = canvas.between(0, WIDTH), canvas.between(foot, WIDTH)
        canvas.draw.line((x, y, x + 8, y), fill=canvas.tone((135, 122, 110), 8))
    canvas.people(foot + 4, 250, most=45)


def spa_pool(canvas: Canvas) -> None:
    """Paint a tiled pool, inside a hall or on a terrace, with loungers."""
    if canvas.chance(0.5):
        canvas.ground(0, canvas.tone((215, 200, 180)), bottom=canvas.horizon)
        for x in np.arange(canvas.between(5, 30), WIDTH, canvas.between(35, 60)):
            canvas.draw.rectangle(
                (x, 12, x + 18, canvas.horizon), fill=canvas.tone((170, 200, 220))
            )
    elif canvas.chance(0.6):
        canvas.house(
            (-5, canvas.between(10, 60), WIDTH + 5, canvas.horizon), canvas.tone((235, 225, 210))
        )
    canvas.ground(canvas.horizon, canvas.tone((220, 208, 190)))
    near, far = canvas.between(215, 262), canvas.horizon + canvas.between(8, 35)
    left, right = canvas.between(-30, 60), canvas.between(190, 290)
    corners = [(left + 45, far), (right - 45, far), (right, near), (left, near)]
    canvas.draw.polygon(corners, canvas.tone((70, 185, 205), 25))
    for _ in range(45):
        y = canvas.between(far + 2, near)
        x = canvas.between(left + 45, right - 60)
        canvas.draw.line(
            (x, y, x + canvas.between(4, 22), y + canvas.between(-2, 2)),
            fill=canvas.tone((150, 225, 235)),
        )
    for step in canvas.several(0, 6):
        x, y = 10 + step * 40, far - canvas.between(2, 8)
        canvas.draw.polygon(
            [(x, y), (x + 26, y), (x + 34, y - 12), (x + 30, y - 12)], canvas.tone((240, 238, 232))
        )
    if canvas.chance(0.5):
        canvas.bush(
            canvas.between(0, WIDTH),
            canvas.horizon,
            size=canvas.between(12, 28),
            colour=canvas.tone((50, 110, 60)),
        )
    canvas.people(far, 250, most=14)
