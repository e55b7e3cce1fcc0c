"""Thimble for Python: a language model in a microcontroller, proven on an emulated board.

    import thimble

    recipe = thimble.load_recipe("my-model/recipe.yaml")
    results = thimble.run(recipe)  # trains, quantizes, compiles, emulates, verifies
    result = results["mps2_an386"]  # the content of its result.json, typed
    print(result.instructions.decode_mean, result.flash.total)

    with thimble.connect("/dev/ttyACM0") as device:  # a real board with that firmware
        print(device.prompt("turn off the kitchen lights", 40).text)

All names are those of `pipeline.api`. They are imported when they are first used: `import thimble` takes milliseconds
and needs no TensorFlow; a function that needs an extra of `thimble-mcu` says which.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

__all__ = [
    "Answer",
    "CompiledModel",
    "Device",
    "Recipe",
    "RunResult",
    "ThimbleError",
    "__version__",
    "boot",
    "compile_model",
    "connect",
    "load_recipe",
    "run",
]

if TYPE_CHECKING:
    from pipeline.api import (
        Answer,
        CompiledModel,
        Device,
        Recipe,
        RunResult,
        ThimbleError,
        boot,
        compile_model,
        connect,
        load_recipe,
        run,
    )

    __version__: str


def _refuse_other_pipeline() -> None:
    """Thimble's own package is called `pipeline`, and so may be a folder of the user's that Python finds first.

    Raises:
        ImportError: names that folder.
    """
    own = Path(__file__).resolve().parent.parent / "pipeline" / "__init__.py"
    spec = importlib.util.find_spec("pipeline")
    origin = None if spec is None else spec.origin
    if origin is not None and Path(origin).resolve() == own:
        return
    where = [] if spec is None else [origin or "", *(spec.submodule_search_locations or [])]
    other = next((Path(path) for path in where if path), None)
    if other is None:
        raise ImportError(f"Thimble's package `pipeline` is missing at {own.parent}: install thimble-mcu again")
    if other.name == "__init__.py":
        other = other.parent
    kind = "file" if other.suffix else "folder"
    raise ImportError(
        f"the {kind} {other} hides Thimble's own package `pipeline`, which `import thimble` needs: rename that {kind}, "
        "or start Python in another folder (the command `thimble` works here all the same)"
    )


_refuse_other_pipeline()


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from pipeline.version import VERSION

        return VERSION
    if name not in __all__:
        raise AttributeError(f"module 'thimble' has no attribute {name!r}")
    from pipeline import api

    value = getattr(api, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
