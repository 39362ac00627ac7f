"""Canvas of a rendered picture: light, sky, ground, and the strokes that scenes share."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Colour = tuple[float, float, float]

# All sizes, colours and shares of the painters are chosen by eye. What matters is that scenes
# overlap in everything but their parts, so that a labeller has to look at those.
WIDTH = 256
HIGHEST_HORIZON = 72
LOWEST_HORIZON = 158
_COARSE = 64  # side of the noise that is enlarged to clouds and textures
_SHARPNESS_PX = (120, 208)  # side of the drawing before it is enlarged to WIDTH
# Colours at the top and at the horizon, and the tint of everything below.
_SKIES = {
    "noon": ((70, 130, 210), (185, 215, 240), (1.0, 1.0, 1.0)),
    "morning": ((130, 165, 215), (250, 225, 205), (1.0, 0.96, 0.90)),
    "dusk": ((75, 70, 130), (250, 150, 90), (0.95, 0.72, 0.60)),
    "grey": ((150, 158, 165), (205, 208, 210), (0.82, 0.84, 0.86)),
    "night": ((10, 14, 40), (50, 55, 95), (0.38, 0.42, 0.60)),
}
_HOURS = tuple(_SKIES)
_HOUR_SHARES = (0.36, 0.18, 0.18, 0.18, 0.10)


@dataclass(frozen=True)
class Light:
    """Light of a time of day: colours of the sky, and their effect on the scene.

    Attributes:
        hour: Name of the time of day.
        top: Colour at the zenith.
        low: Colour at the horizon.
        tint: Factor on every colour.
    """

    hour: str
    top: Colour
    low: Colour
    tint: Colour


class Canvas:
    """A square drawing of 256 px with its own light and randomness."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Draw the light and paint the sky."""
        self.rng = rng
        hour = str(rng.choice(_HOURS, p=_HOUR_SHARES))
        top, low, tint = _SKIES[hour]
        shift = rng.normal(0, 14, 3)
        self.light = Light(
            hour, _clipped(np.array(top) + shift), _clipped(np.array(low) + shift), tint
        )
        self.horizon = rng.uniform(HIGHEST_HORIZON, LOWEST_HORIZON)
        self.crowd = float(rng.beta(0.8, 1.6))
        down = np.minimum(np.linspace(0, WIDTH / self.horizon, _COARSE, dtype=np.float32), 1)
        down = down[:, None, None]
        sky = _floats(self.light.top) * (1 - down) + _floats(self.light.low) * down
        # Clouds: where the noise exceeds a threshold, white under this light.
        cover = np.clip((self._noise(5, _COARSE) - self.between(0.35, 0.8)) * 3, 0, 1) * 0.8
        sky = sky + (235 * _floats(self.light.tint) - sky) * cover
        self.image = Image.fromarray(sky.astype(np.uint8)).resize((WIDTH, WIDTH))
        self.draw = ImageDraw.Draw(self.image)

    def _noise(self, cells: int, side: int) -> NDArray[np.float32]:
        """Return smooth noise of two octaves in about 0..1, shape ``(side, side, 1)``."""
        total = np.zeros((side, side, 1), dtype=np.float32)
        for octave, share in ((1, 0.65), (3, 0.35)):
            grid = self.rng.integers(256, size=(cells * octave, cells * octave), dtype=np.uint8)
            smooth = Image.fromarray(grid).resize((side, side), Image.Resampling.BICUBIC)
            total += np.float32(share / 255) * np.asarray(smooth)[:, :, None]
        return total

    def lower_horizon(self, drop: float) -> None:
        """Move the horizon down, at most to ``LOWEST_HORIZON``: what painters have room for."""
        self.horizon = min(self.horizon + drop, LOWEST_HORIZON)

    def tone(self, colour: Colour, spread: float = 18) -> tuple[int, ...]:
        """Return a colour near the given one, under the light of this picture."""
        shift = self.rng.standard_normal(3).tolist()
        parts = zip(colour, shift, self.light.tint, strict=True)
        return tuple(
            min(255, max(0, int((value + spread * move) * tint))) for value, move, tint in parts
        )

    def any_tone(self, low: float, high: float) -> tuple[int, ...]:
        """Return a colour whose parts are drawn from an interval, under the light as well."""
        red, green, blue = self.rng.uniform(low, high, 3).tolist()
        return self.tone((red, green, blue))

    def between(self, low: float, high: float) -> float:
        """Draw uniformly from an interval; its ends may come in any order."""
        return low + (high - low) * self.rng.random()

    def several(self, low: int, high: int) -> range:
        """Draw a number of repetitions from ``low`` to ``high``."""
        return range(int(self.rng.integers(low, high + 1)))

    def chance(self, share: float) -> bool:
        """Return True with a probability."""
        return bool(self.rng.random() < share)

    def ground(self, top: float, colour: tuple[int, ...], *, bottom: float = WIDTH) -> None:
        """Fill from one height to another, darker towards the front or the back."""
        steps = 12
        slope = self.between(-0.25, 0.25)
        for step in range(steps):
            factor = 1 + slope * (step / steps - 0.5)
            shade = tuple(min(255, int(value * factor)) for value in colour)
            upper = top + (bottom - top) * step / steps
            lower = top + (bottom - top) * (step + 1) / steps
            self.draw.rectangle((0, upper, WIDTH, lower + 1), fill=shade)

    def ridge(self, base: float, height: float, *, colour: tuple[int, ...], rough: float) -> None:
        """Fill below a random skyline: smooth hills for small ``rough``, peaks for large."""
        self.draw.polygon(
            [*self.skyline(base, height, rough=rough), (WIDTH, WIDTH), (0, WIDTH)], fill=colour
        )

    def skyline(self, base: float, height: float, *, rough: float) -> list[tuple[float, float]]:
        """Return the points of a random skyline of given height above a base."""
        across = np.arange(0, WIDTH + 1, 4)
        line = np.zeros(len(across))
        for wave in range(1, 12):
            phase, size = self.rng.uniform(0, 2 * math.pi), self.rng.normal() / wave ** (2 - rough)
            line += size * np.sin(2 * math.pi * wave * across / (WIDTH * 1.3) + phase)
        line = (line - line.min()) / max(float(np.ptp(line)), 1e-6)
        return [(float(x), float(base - height * y)) for x, y in zip(across, line, strict=True)]

    def water(self, top: float, bottom: float = WIDTH, *, calm: float = 0.5) -> None:
        """Fill with water: reflected sky, and wave strokes unless calm."""
        mix = self.between(0.3, 0.7)
        low, sea = np.array(self.light.low), np.array(self.tone((40, 120, 160), 25))
        colour = tuple(int(value) for value in low * mix * 0.9 + sea * (1 - mix))
        self.ground(top, colour, bottom=bottom)
        for _ in range(int((1 - calm) * 90)):
            y = top + (bottom - top) * self.rng.random() ** 1.5
            x, length = self.between(0, WIDTH), self.between(4, 30)
            shade = tuple(min(255, value + int(self.between(8, 45))) for value in colour)
            self.draw.line((x, y, x + length, y), fill=shade)

    def people(self, top: float, bottom: float, *, most: int = 36) -> None:
        """Scatter as many people as this picture is crowded."""
        for _ in range(int(self.crowd * most)):
            y = self.between(top, bottom)
            tall = 4 + 16 * (y - self.horizon) / WIDTH
            x = self.between(0, WIDTH)
            coat = self.any_tone(20, 240)
            self.draw.ellipse((x, y - tall, x + tall * 0.35, y), fill=coat)
            skin = self.tone((205, 160, 130))
            self.draw.ellipse((x, y - tall * 1.3, x + tall * 0.3, y - tall), fill=skin)

    def conifer(self, x: float, foot: float, *, height: float, snow: bool = False) -> None:
        """Draw a fir tree."""
        leaf = self.tone((225, 230, 238)) if snow and self.chance(0.4) else self.tone((28, 72, 42))
        for part in (0.0, 0.3, 0.55):
            half, low = height * (0.28 - part * 0.25), foot - height * part
            self.draw.polygon(
                [(x - half, low), (x + half, low), (x, low - height * 0.5)], fill=leaf
            )

    def bush(self, x: float, y: float, *, size: float, colour: tuple[int, ...]) -> None:
        """Draw a round crown of some blobs."""
        for _ in self.several(3, 6):
            dx, dy = self.rng.normal(0, size * 0.4, 2)
            reach = size * self.between(0.3, 0.6)
            self.draw.ellipse(
                (x + dx - reach, y + dy - reach, x + dx + reach, y + dy + reach), fill=colour
            )

    def house(self, box: tuple[float, float, float, float], wall: tuple[int, ...]) -> None:
        """Draw a wall with windows, lit at night."""
        left, top, right, bottom = box
        self.draw.rectangle(box, fill=wall)
        pane_on, pane_off = (250, 220, 130), self.tone((60, 70, 90))
        lit = 0.6 if self.light.hour in ("night", "dusk") else 0.05
        pitch = self.between(6, 11)
        for y in np.arange(top + 4, bottom - 5, pitch):
            for x in np.arange(left + 3, right - 4, pitch):
                pane = pane_on if self.rng.random() < lit else pane_off
                self.draw.rectangle((x, y, x + pitch * 0.4, y + pitch * 0.5), fill=pane)

    def boat(self, x: float, y: float, *, size: float) -> None:
        """Draw a boat, with a sail or a mast."""
        hull = self.any_tone(40, 250)
        self.draw.polygon(
            [
                (x, y),
                (x + size, y),
                (x + size * 0.8, y + size * 0.25),
                (x + size * 0.2, y + size * 0.25),
            ],
            fill=hull,
        )
        mast = x + size * 0.5
        self.draw.line((mast, y, mast, y - size), fill=self.tone((90, 80, 70)), width=1)
        if self.chance(0.4):
            sail = self.tone((240, 238, 230))
            self.draw.polygon(
                [(mast, y - size), (mast, y - 3), (mast + size * 0.4, y - 3)], fill=sail
            )

    def finished(self) -> Image.Image:
        """Frame the drawing; add texture, haze and grain at a random sharpness."""
        side = int(self.rng.integers(*_SHARPNESS_PX))
        # Crop, turn and perhaps mirror the drawing, in one resampling.
        zoom = self.between(0.38, 1.0)
        left, top = self.between(0, 1 - zoom) * WIDTH, self.between(0, 1 - zoom) * WIDTH
        step, turn = zoom * WIDTH / side, math.radians(self.rng.normal(0, 2))
        along, across = step * math.cos(turn), step * math.sin(turn)
        if self.chance(0.5):
            along, left = -along, left + zoom * WIDTH
        framed = self.image.transform(
            (side, side),
            Image.Transform.AFFINE,
            (along, across, left, -across, step * math.cos(turn), top),
            Image.Resampling.BILINEAR,
            fillcolor=self.image.getpixel((3, 3)),
        )
        pixels = np.asarray(framed).astype(np.float32)
        pixels *= 1 + np.float32(self.between(0.05, 0.35)) * (self._noise(24, side) - 0.5)
        haze = np.float32(self.between(0, 0.3)) * self._noise(3, side)
        pixels += (_floats(self.light.low) - pixels) * haze
        # White balance, exposure and saturation vary as photographers' do.
        warmer, exposure = self.rng.normal(0, 0.07), self.rng.normal(1, 0.08)
        balance = _floats((exposure + warmer, exposure, exposure - warmer))
        grey = pixels.mean(axis=2, keepdims=True)
        pixels = (grey + (pixels - grey) * np.float32(self.between(0.45, 1.35))) * balance
        grain = self.rng.standard_normal((side, side, 1), dtype=np.float32)
        pixels += np.float32(self.between(2, 9)) * grain
        image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        return image.resize((WIDTH, WIDTH), Image.Resampling.BICUBIC)


def _floats(colour: Colour) -> NDArray[np.float32]:
    return np.array(colour, dtype=np.float32)


def _clipped(colour: NDArray[np.float64]) -> Colour:
    red, green, blue = np.clip(colour, 0, 255).tolist()
    return red, green, blue
