"""Writes an export: the folder of C, the form's files, licence, README and an example."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.errors import ThimbleError
from pipeline.exports.form import TEXT_BYTES, Form
from pipeline.exports.library import ExportedModel, Library, Sources, write_sources
from pipeline.exports.licenses import LICENSE, license_text, with_spdx
from pipeline.firmware.project import KERNEL_OPTIMIZATION
from pipeline.resources import ROOT
from pipeline.targets.cores import packing_of_core

__all__ = ["check_target", "write_export"]

_TEMPLATES = ROOT / "firmware_templates" / "exports"
_TEMPLATE = ".j2"
_COMMON = ("README.md", "NOTICE.md")


def check_target(out: Path) -> None:
    """Refuses a folder that an export would not have for itself.

    Raises:
        ThimbleError: it is a file, or not empty.
    """
    if out.exists() and not out.is_dir():
        raise ThimbleError(f"--out {out} is a file", "name a new or empty folder; the file was not touched")
    if out.exists() and any(out.iterdir()):
        raise ThimbleError(f"--out {out} is not empty", "name a new or empty folder; nothing there was touched")


def write_export(library: Library, form: Form, out: Path) -> None:
    """Writes the models into a folder, in a form; two exports of the same are the same to the byte.

    Args:
        library: what is exported.
        form: as which build system takes it.
        out: a new or empty folder. It is written whole or not at all.

    Raises:
        ThimbleError: the folder is not empty, or the form cannot hold the models.
    """
    check_target(out)
    form.check(library)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        whole = Path(folder) / out.name
        whole.mkdir()
        _write(library, form, whole)
        if out.exists():
            out.rmdir()
        os.replace(whole, out)


def _write(library: Library, form: Form, out: Path) -> None:
    source = out / _source(library, form)
    source.mkdir(parents=True)
    sources = write_sources(library, source)
    options = _kernel_options(library)
    if options and not form.compiles_with_flags:
        for name in sources.kernels:
            text = (source / name).read_text(encoding="utf-8")
            (source / name).write_text(_for_speed(options) + text, encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    environment.filters["c_string"] = _c_string
    environment.filters["regex"] = re.escape
    values = _values(library, form, sources)
    templates = {name: f"common/{name}{_TEMPLATE}" for name in _COMMON}
    folder = _TEMPLATES / form.name
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or name == "start.md.j2":  # a part of the README
            continue
        target = name.replace("_package_", library.package).replace("_identifier_", library.identifier)
        if path.suffix == _TEMPLATE:
            templates[target.removesuffix(_TEMPLATE)] = f"{form.name}/{name}"
        else:
            (out / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, out / target)
    texts = {target: environment.get_template(name).render(values) for target, name in templates.items()}
    texts["LICENSE"] = license_text()
    for target, text in texts.items():
        (out / target).parent.mkdir(parents=True, exist_ok=True)
        (out / target).write_text(text, encoding="utf-8")
    for path in out.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            path.write_text(with_spdx(path.relative_to(out).as_posix(), text), encoding="utf-8")
    form.finish(library, out)


def _kernel_options(library: Library) -> list[str]:
    """What kernels are compiled with besides what the user says; none where they say so themselves."""
    return [
        option for option in KERNEL_OPTIMIZATION[packing_of_core(library.core)].split(";") if option in ("-O2", "-O3")
    ]


def _for_speed(options: Sequence[str]) -> str:
    """The same for a build system that knows no options of a file."""
    levels = ", ".join(f'"{option[1:]}"' for option in options)
    return f"#if defined(__GNUC__) && !defined(__clang__)\n#pragma GCC optimize({levels})\n#endif\n"


def _source(library: Library, form: Form) -> str:
    """Where in the export the C lies."""
    return form.source.format(package=library.package, identifier=library.identifier)


def _values(library: Library, form: Form, sources: Sources) -> dict[str, Any]:
    """What templates may name."""
    return {
        **form.values(library, sources),
        "package": library.package,
        "identifier": library.identifier,
        "macro": library.identifier.upper(),
        "short_name": library.package.removeprefix("thimble-"),
        "title": " and ".join(model.name for model in library.models),
        "summary": _summary(library),
        "version": library.version,
        "license": LICENSE,
        "core": library.core,
        "form": form,
        "source": _source(library, form),
        "models": library.models,
        "model": library.models[0],
        "compiled": sources.compiled,
        "memory_bytes": sum(facts.kv_cache_bytes + facts.arena_bytes for facts in sources.compiled.values()),
        "text_bytes": TEXT_BYTES,
        "sources": [name for name in sources.files if name.endswith(".c")],
        "headers": [name for name in sources.files if name.endswith(".h")],
        "public_headers": [f"{model.identifier}.h" for model in library.models],
        "kernels": sources.kernels,
        "kernel_options": _kernel_options(library),
        "attribution": sorted({line for model in library.models for line in model.attribution}),
    }


def _summary(library: Library) -> str:
    """One line on what the library does."""

    def said(model: ExportedModel) -> str:
        return model.description.rstrip(".") or model.name

    return "; ".join(said(model) for model in library.models)


def _c_string(text: str) -> str:
    """A text as a string literal of C, UTF-8."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?").replace("\n", "\\n")
    return f'"{escaped}"'
