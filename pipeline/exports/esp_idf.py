"""`esp-idf`: a component for the ESP32s, whose cores have no bodies of their own: weights lie for plain C."""

from __future__ import annotations

from pipeline.exports.form import Form

__all__ = ["FORM"]

FORM = Form("esp-idf", "ESP-IDF component", core="riscv32")
