"""What all pages are rendered with, and how numbers stand in them."""

import base64

import jinja2
from markupsafe import Markup, escape

from mleg_ray.console import rounded


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


def quantity(value: float, uncertainty: float) -> Markup:
    """Write `value ± uncertainty` as HTML."""
    number, power = rounded(value, uncertainty)
    if not power:
        return escape(number)
    return Markup("{} × 10<sup>{}</sup>").format(number, str(power).replace("-", "−"))
