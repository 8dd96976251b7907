"""What all pages are rendered with, and how numbers stand in them."""

import base64
import math

import jinja2
from markupsafe import Markup, escape


def templates() -> jinja2.Environment:
    """Return the templates of pages: everything is escaped, nothing may be undefined."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mleg_ray.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "quantity": quantity,
        "base64": lambda content: base64.b64encode(content).decode(),
    }
    return environment


def rounded(value: float, uncertainty: float) -> tuple[str, int]:
    """Return `value ± uncertainty`, with two digits of the uncertainty, and its power of ten.

    A value without an uncertainty has three digits.
    """
    largest = max(abs(value), uncertainty)
    exponent = math.floor(math.log10(largest)) if largest > 0 else 0
    power = exponent if not -3 <= exponent < 5 else 0
    shown, error = value / 10**power, uncertainty / 10**power
    least = math.floor(math.log10(error)) - 1 if error > 0 else exponent - power - 2
    digits = max(0, -least)
    number = f"{shown:.{digits}f}".replace("-", "−") if value else "0"
    if error > 0:
        number += f" ± {error:.{digits}f}"
    if power and value and error > 0:
        number = f"({number})"
    return number, power


def quantity(value: float, uncertainty: float) -> Markup:
    """Write `value ± uncertainty` as HTML."""
    number, power = rounded(value, uncertainty)
    if not power:
        return escape(number)
    return Markup("{} × 10<sup>{}</sup>").format(number, str(power).replace("-", "−"))
