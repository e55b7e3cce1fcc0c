"""The forms of export, in the order in which they are listed."""

from __future__ import annotations

from pipeline.errors import ThimbleError
from pipeline.exports import arduino, cmake, cmsis_pack, esp_idf, esphome, micropython, platformio, rust, zephyr
from pipeline.exports.form import Form

__all__ = ["FORMS", "load_form"]

FORMS = {
    form.name: form
    for form in (
        cmake.FORM,
        zephyr.FORM,
        arduino.FORM,
        platformio.FORM,
        esp_idf.FORM,
        cmsis_pack.FORM,
        rust.FORM,
        esphome.FORM,
        micropython.FORM,
    )
}


def load_form(name: str) -> Form:
    """A form by its name.

    Raises:
        ThimbleError: there is none of that name.
    """
    if name not in FORMS:
        raise ThimbleError(f"--form {name} is not known", f"use one of: {', '.join(FORMS)}")
    return FORMS[name]
