"""Painters of scenes where nature dominates."""

from training.simulator.pictures.canvas import WIDTH, Canvas


def beach(canvas: Canvas) -> None:
    """Paint sand, sea, parasols and palms."""
    shore = canvas.between(0.6, 0.85) * WIDTH
    if canvas.chance(0.4):
        canvas.ridge(
            canvas.horizon + 3, canvas.between(10, 50), colour=canvas.tone((90, 120, 80)), rough=0.3
        )
    canvas.water(canvas.horizon, calm=canvas.between(0.1, 0.9))
    sand = canvas.tone((225, 200, 150))
    canvas.ridge(shore, canvas.between(5, 35), colour=canvas.tone((240, 240, 235)), rough=0)
    canvas.ridge(shore + 4, canvas.between(5, 35), colour=sand, rough=0)
    for _ in canvas.several(0, 6):
        x, y = canvas.between(0, WIDTH), canvas.between(shore - 5, WIDTH - 10)
        size = canvas.between(9, 24)
        canvas.draw.line((x, y, x, y + size), fill=canvas.tone((120, 100, 80)), width=2)
        cloth = canvas.any_tone(60, 250)
        canvas.draw.pieslice((x - size, y - size * 0.6, x + size, y + size * 0.6), 180, 360, cloth)
    for _ in canvas.several(0, 3):
        x, foot = canvas.between(0, WIDTH), canvas.between(shore, WIDTH)
        top, lean = foot - canvas.between(60, 130), canvas.between(-25, 25)
        canvas.draw.line((x, foot, x + lean, top), fill=canvas.tone((110, 85, 60)), width=4)
        leaf = canvas.tone((45, 105, 50))
        for _ in range(8):
            dx, dy = canvas.between(-38, 38), canvas.between(-18, 25)
            canvas.draw.line((x + lean, top, x + lean + dx, top + dy), fill=leaf, width=4)
    canvas.people(shore, WIDTH - 4)


def desert(canvas: Canvas) -> None:
    """Paint dunes with a lit and a dark side, sometimes rocks or a caravan."""
    sand = canvas.tone((215, 160, 95), 22)
    dark = tuple(int(value * 0.72) for value in sand)
    for layer in range(4):
        base = canvas.horizon + layer * (WIDTH - canvas.horizon) / 3.5
        line = canvas.skyline(base, canvas.between(20, 60), rough=0)
        canvas.draw.polygon([*line, (WIDTH, WIDTH), (0, WIDTH)], fill=dark if layer % 2 else sand)
    for _ in canvas.several(0, 4):
        x, y = canvas.between(0, WIDTH), canvas.between(canvas.horizon, WIDTH)
        canvas.bush(x, y, size=canvas.between(3, 9), colour=canvas.tone((110, 105, 60)))
    if canvas.chance(0.35):
        start, y = canvas.between(0, WIDTH / 2), canvas.between(canvas.horizon + 15, 200)
        for step in canvas.several(3, 8):
            left, size = start + step * 20, canvas.between(9, 13)
            animal(canvas, (left, y), size=size, hide=canvas.tone((110, 80, 55)))


def forest(canvas: Canvas) -> None:
    """Paint many trees, a path, sometimes a cabin."""
    canvas.ground(canvas.horizon, canvas.tone((70, 95, 45)))
    if canvas.chance(0.5):
        path = canvas.tone((150, 125, 90))
        middle = canvas.between(80, 180)
        canvas.draw.polygon(
            [(middle, canvas.horizon + 20), (middle + 60, WIDTH), (middle - 70, WIDTH)], path
        )
    autumn = canvas.chance(0.35)
    conifers = canvas.between(0, 1)
    for step in range(60):
        foot = canvas.horizon + (WIDTH + 20 - canvas.horizon) * (step / 60) ** 1.6
        x, tall = canvas.between(-10, WIDTH + 10), 35 + step * canvas.between(1.0, 2.2)
        if canvas.chance(conifers):
            canvas.conifer(x, foot, height=tall)
            continue
        canvas.draw.line(
            (x, foot, x, foot - tall), fill=canvas.tone((75, 58, 45)), width=2 + step // 12
        )
        leaf = canvas.tone((190, 115, 40), 30) if autumn else canvas.tone((60, 110, 45), 22)
        canvas.bush(x, foot - tall * 0.9, size=tall * 0.3, colour=leaf)


def golf_course(canvas: Canvas) -> None:
    """Paint fairways, bunkers, a green with its flag, and trees at the edge."""
    canvas.ridge(
        canvas.horizon + 5, canvas.between(8, 40), colour=canvas.tone((50, 90, 45)), rough=0.3
    )
    for _ in canvas.several(4, 16):
        canvas.bush(
            canvas.between(0, WIDTH),
            canvas.horizon,
            size=canvas.between(6, 20),
            colour=canvas.tone((45, 90, 40)),
        )
    grass = canvas.tone((105, 165, 65))
    canvas.ridge(canvas.horizon + 12, canvas.between(4, 14), colour=grass, rough=0)
    for shade in (0.85, 1.15, 0.92):
        x, y = canvas.between(-40, 200), canvas.between(canvas.horizon + 10, 220)
        lawn = tuple(min(255, int(value * shade)) for value in grass)
        canvas.draw.ellipse((x, y, x + canvas.between(80, 220), y + canvas.between(15, 60)), lawn)
    for _ in canvas.several(1, 5):
        x, y = canvas.between(0, WIDTH), canvas.between(canvas.horizon + 18, 240)
        canvas.draw.ellipse(
            (x, y, x + canvas.between(18, 60), y + canvas.between(6, 18)),
            canvas.tone((228, 212, 170)),
        )
    if canvas.chance(0.3):
        x, y = canvas.between(0, 180), canvas.between(canvas.horizon + 20, 220)
        canvas.draw.ellipse((x, y, x + 90, y + 24), canvas.tone((80, 130, 160)))
    x, y, tall = (
        canvas.between(40, 210),
        canvas.between(canvas.horizon + 45, 230),
        canvas.between(30, 70),
    )
    canvas.draw.line((x, y, x, y - tall), fill=canvas.tone((235, 235, 230)), width=2)
    canvas.draw.polygon(
        [(x, y - tall), (x + 16, y - tall + 6), (x, y - tall + 12)], canvas.tone((215, 50, 40))
    )
    canvas.people(canvas.horizon + 30, 240, most=8)


def lake(canvas: Canvas) -> None:
    """Paint calm water between hills or mountains, with reflections and a jetty."""
    rough = canvas.between(0.1, 0.9)
    for shade in (1.25, 1.0):
        hill = tuple(min(255, int(v * shade)) for v in canvas.tone((75, 105, 85)))
        canvas.ridge(canvas.horizon + 6, canvas.between(25, 90), colour=hill, rough=rough)
    canvas.water(canvas.horizon + 5, calm=canvas.between(0.6, 1.0))
    mirror = tuple(int(v * 0.8) for v in canvas.tone((75, 105, 90)))
    line = [
        (x, 2 * canvas.horizon + 8 - y) for x, y in canvas.skyline(canvas.horizon, 45, rough=rough)
    ]
    canvas.draw.polygon([*line, (WIDTH, canvas.horizon + 5), (0, canvas.horizon + 5)], mirror)
    if canvas.chance(0.6):
        for _ in canvas.several(4, 14):
            foot = canvas.horizon + canvas.between(2, 12)
            canvas.conifer(canvas.between(0, WIDTH), foot, height=canvas.between(15, 45))
    if canvas.chance(0.4):
        x = canvas.between(40, 200)
        canvas.draw.polygon(
            [
                (x, canvas.horizon + 60),
                (x + 8, canvas.horizon + 60),
                (x + 50, WIDTH),
                (x - 10, WIDTH),
            ],
            canvas.tone((125, 95, 65)),
        )
    for _ in canvas.several(0, 2):
        canvas.boat(
            canvas.between(0, 220),
            canvas.between(canvas.horizon + 15, 230),
            size=canvas.between(12, 34),
        )


def safari(canvas: Canvas) -> None:
    """Paint dry grass, acacias and animals."""
    canvas.ridge(
        canvas.horizon + 4, canvas.between(4, 30), colour=canvas.tone((120, 115, 90)), rough=0.1
    )
    canvas.ground(canvas.horizon, canvas.tone((190, 160, 85), 22))
    for _ in canvas.several(1, 5):
        x, foot = canvas.between(0, WIDTH), canvas.between(canvas.horizon + 2, 220)
        tall = 20 + (foot - canvas.horizon) * 0.6
        canvas.draw.line((x, foot, x + 2, foot - tall), fill=canvas.tone((80, 60, 45)), width=3)
        canvas.draw.ellipse(
            (x - tall * 0.9, foot - tall * 1.25, x + tall * 0.9, foot - tall * 0.85),
            canvas.tone((85, 105, 50)),
        )
    for _ in range(80):
        x, y = canvas.between(0, WIDTH), canvas.between(canvas.horizon + 10, WIDTH)
        canvas.draw.line(
            (x, y, x + canvas.between(-3, 3), y - 6), fill=canvas.tone((165, 140, 70), 25)
        )
    hide = canvas.tone((140, 110, 80) if canvas.chance(0.6) else (110, 110, 112), 25)
    for _ in canvas.several(1, 7):
        y = canvas.between(canvas.horizon + 12, 230)
        size = 8 + (y - canvas.horizon) * 0.2
        animal(canvas, (canvas.between(0, 230), y), size=size, hide=hide)


def animal(
    canvas: Canvas, place: tuple[float, float], *, size: float, hide: tuple[int, ...]
) -> None:
    """Draw a four-legged animal.

    Args:
        canvas: What to draw on.
        place: Left of its body and height of its belly, pixels.
        size: Length of a leg, pixels.
        hide: Its colour.
    """
    x, y = place
    canvas.draw.ellipse((x, y - size * 0.8, x + size * 2, y + size * 0.2), hide)
    for leg in (0.3, 0.6, 1.4, 1.7):
        canvas.draw.line(
            (x + leg * size, y, x + leg * size, y + size), fill=hide, width=max(1, int(size / 6))
        )
    neck = canvas.between(0.4, 1.8) * size
    canvas.draw.line(
        (x + size * 1.9, y - size * 0.4, x + size * 2.3, y - neck),
        fill=hide,
        width=max(2, int(size / 3)),
    )
    canvas.draw.ellipse(
        (x + size * 2, y - neck - size * 0.3, x + size * 2.8, y - neck + size * 0.2), hide
    )


def ski_slope(canvas: Canvas) -> None:
    """Paint snowy mountains, pistes, firs, a lift and skiers."""
    rock = canvas.tone((120, 125, 140))
    snow = canvas.tone((238, 242, 250), 8)
    height = canvas.between(50, 130)
    line = canvas.skyline(canvas.horizon + 20, height, rough=0.8)
    canvas.draw.polygon([*line, (WIDTH, WIDTH), (0, WIDTH)], rock)
    cap = [(x, y + canvas.between(8, 30)) for x, y in line]
    canvas.draw.polygon([*line, *cap[::-1]], snow)
    canvas.ridge(
        canvas.horizon + canvas.between(25, 60), canvas.between(20, 60), colour=snow, rough=0.2
    )
    for _ in canvas.several(3, 26):
        foot = canvas.between(canvas.horizon + 20, WIDTH + 10)
        canvas.conifer(
            canvas.between(0, WIDTH), foot, height=14 + (foot - canvas.horizon) * 0.35, snow=True
        )
    if canvas.chance(0.5):
        left, right = canvas.between(60, 140), canvas.between(10, 80)
        wire, cabin = canvas.tone((60, 60, 70), 5), (180, 60, 50)
        canvas.draw.line((0, left, WIDTH, right), fill=wire, width=2)
        for step in range(5):
            x, y = 20 + step * 50, left + (right - left) * (20 + step * 50) / WIDTH
            canvas.draw.line((x, y, x, y + 10), fill=wire)
            canvas.draw.rectangle((x - 5, y + 10, x + 5, y + 16), fill=canvas.tone(cabin))
    canvas.people(canvas.horizon + 45, 245, most=24)


def vineyard(canvas: Canvas) -> None:
    """Paint rows of vines that run to the horizon, hills, sometimes an estate."""
    canvas.ridge(
        canvas.horizon + 5, canvas.between(15, 60), colour=canvas.tone((105, 125, 75)), rough=0.2
    )
    if canvas.chance(0.4):
        x, foot = canvas.between(20, 190), canvas.horizon + 4
        canvas.house((x, foot - 22, x + 44, foot), canvas.tone((225, 205, 175)))
        canvas.draw.polygon(
            [(x - 3, foot - 22), (x + 47, foot - 22), (x + 22, foot - 36)],
            canvas.tone((170, 90, 60)),
        )
    canvas.ground(canvas.horizon + 3, canvas.tone((165, 130, 90)))
    vanishing, autumn = canvas.between(-60, 316), canvas.chance(0.3)
    leaf = (165, 120, 45) if autumn else (70, 115, 45)
    spacing = canvas.between(22, 46)
    for row in range(-12, 13):
        foot = WIDTH / 2 + row * spacing * 1.6
        for step in range(14):
            part = (step / 14) ** 1.7
            x = vanishing + (foot - vanishing) * part
            y = canvas.horizon + 6 + (WIDTH - canvas.horizon) * part
            size = 1.5 + 11 * part
            canvas.draw.ellipse(
                (x - size, y - size * 1.2, x + size, y + size * 0.6), canvas.tone(leaf, 14)
            )
