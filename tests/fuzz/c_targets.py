"""What the campaign feeds to the device's C: libFuzzer with the address and undefined-behaviour sanitizers, led by
coverage. The targets lie in `tests/fuzz/c`, their inputs in `tests/fuzz/corpus/c-…`.

Without clang the corpus alone is tried, with gcc's sanitizers (`replay`).
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import tools
from pipeline.errors import ThimbleError
from pipeline.firmware.tables import write_tokenizer
from pipeline.firmware.text_path_tables import write_text_path
from pipeline.resources import ROOT
from pipeline.text.codec import StructuredCodec
from tests.fuzz.targets import CORPUS

__all__ = ["C_TARGETS", "CResult", "CTarget", "fuzz", "replay"]

_SOURCES = Path(__file__).parent / "c"
_RUNTIME = ROOT / "firmware_templates" / "runtime"
_APPLICATION = ROOT / "firmware_templates" / "app"
_SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_RENAMED = {"tokenizer": "thimble_model_tokenizer", "annotator": "thimble_model_annotator"}
_MEMORY_MB = 2048
_BLOCKED = 20
"""Times the limit of an input, since libFuzzer counts the time that others take too."""


@dataclass(frozen=True)
class _Unit:
    """A C file, and options of its own."""

    path: Path
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class CTarget:
    """A kind of input of the device's C.

    Attributes:
        name: as the command line has it.
        longest: bytes of an input.
        prepare: writes what is generated into a folder; gives what is compiled, and options for all of it.
    """

    name: str
    longest: int
    prepare: Callable[[Path], tuple[list[_Unit], list[str]]]

    @property
    def corpus(self) -> Path:
        """Its inputs."""
        return CORPUS / self.name


@dataclass(frozen=True)
class CResult:
    """A campaign of one target.

    Attributes:
        tried: inputs.
        covered: edges of the target's code that were run.
        fault: what ended it; empty where nothing did.
        kept: the input that did.
    """

    tried: int
    covered: int
    fault: str = ""
    kept: Path | None = None


def fuzz(target: CTarget, folder: Path, out: Path, inputs: int, seconds: float, seed: int, each: float) -> CResult:
    """Runs a target in a folder of its own until it has tried the inputs, the time is over, or one is a fault.

    Raises:
        MissingTool: there is no clang.
        ThimbleError: its libFuzzer is missing.
    """
    program = _built(target, folder, str(tools.require("clang")), ("-fsanitize=fuzzer,address,undefined",))
    found = folder / "found"
    found.mkdir()
    out.mkdir(parents=True, exist_ok=True)
    limits = [
        f"-runs={inputs}",
        f"-seed={seed}",
        f"-timeout={max(int(_BLOCKED * each), 1)}",
        f"-max_len={target.longest}",
    ]
    limits += [f"-rss_limit_mb={_MEMORY_MB}", f"-artifact_prefix={out}/", "-print_final_stats=1", "-detect_leaks=1"]
    limits += [f"-max_total_time={int(seconds)}"] if seconds < 1e8 else []
    done = subprocess.run([program, *limits, found, target.corpus], capture_output=True, check=False)
    told = done.stderr.decode("utf-8", "replace")
    tried = re.search(r"number_of_executed_units:\s*(\d+)", told)
    covered = re.findall(r"cov: (\d+)", told)
    kept = re.search(r"written to (\S+)", told)
    fault = ""
    if done.returncode:
        lines = told.splitlines()
        fault = next((line for line in lines if "runtime error" in line or "ERROR" in line), told[-300:])
        if kept:
            Path(f"{kept[1]}.txt").write_text(told[-20_000:], encoding="utf-8")
    return CResult(
        int(tried[1]) if tried else 0, int(covered[-1]) if covered else 0, fault, Path(kept[1]) if kept else None
    )


def replay(target: CTarget, folder: Path) -> None:
    """Tries the target's corpus with gcc's sanitizers.

    Raises:
        AssertionError: an input is a fault.
    """
    program = _built(target, folder, str(tools.require("gcc")), _SANITIZED, [_Unit(_SOURCES / "replay.c")])
    inputs = sorted(path for path in target.corpus.iterdir())
    assert inputs, f"no inputs in {target.corpus}"
    done = subprocess.run([program, *inputs], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[:3000]


def _built(target: CTarget, folder: Path, compiler: str, options: Sequence[str], more: Sequence[_Unit] = ()) -> Path:
    """The target's program."""
    folder.mkdir(parents=True, exist_ok=True)
    units, common = target.prepare(folder)
    flags = ["-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", *common, *options, "-fno-sanitize-recover=all"]
    flags += [f"-I{path}" for path in (folder, _APPLICATION, _RUNTIME)]
    objects: list[Path] = []
    for number, unit in enumerate([*units, *more]):
        objects.append(folder / f"{number}.o")
        _run([compiler, *flags, *unit.options, "-c", "-o", objects[-1], unit.path])
    program = folder / "program"
    _run([compiler, *flags, "-o", program, *objects])
    return program


def _run(command: Sequence[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "clang_rt.fuzzer" in done.stderr or "fsanitize=fuzzer" in done.stderr:
        raise ThimbleError("clang has no libFuzzer", "install `libclang-rt-dev`, or another clang")
    assert done.returncode == 0, done.stderr[:3000]


def _runtime(*parts: str) -> list[_Unit]:
    return [_Unit(_RUNTIME / f"thimble{'_' if part else ''}{part}.c") for part in parts]


def _application(program_options: Sequence[str], folder: Path) -> tuple[list[_Unit], list[str]]:
    """The application with the stand-in model, as `tests.support.host_boards` builds it."""
    from tests.support.standin import FOLDER

    (folder / "build.h").write_text(
        '#define BUILD_MODEL_NAME "stand-in"\n#define BUILD_TOKENIZER_VERSION "0123456789abcdef"\n'
        '#define BUILD_ANSWERS_VERSION "0123456789abcdef"\n'
    )
    units = [_Unit(_SOURCES / "lines.c"), _Unit(_APPLICATION / "main.c", ("-Dmain=application",))]
    units += [_Unit(_APPLICATION / name) for name in ("serial.c", "image.c")]
    units += [_Unit(path) for path in sorted(_RUNTIME.glob("*.c"))]
    units += [_Unit(path) for path in sorted(folder.glob("*.c"))]
    return [*units, _Unit(FOLDER / "model.c")], [*program_options, f"-I{FOLDER}"]


def _text_lines(folder: Path) -> tuple[list[_Unit], list[str]]:
    from tests.support.standin import standin_tokenizer

    write_tokenizer(standin_tokenizer(), folder)
    return _application(["-DTHIMBLE_SAMPLING", "-DTHIMBLE_PROFILE"], folder)


def _answer_lines(folder: Path) -> tuple[list[_Unit], list[str]]:
    from tests.support.host_boards import answering_codec

    codec = answering_codec()
    write_tokenizer(codec.tokenizer, folder)
    write_text_path(codec, folder)
    return _application(["-DTHIMBLE_ANSWERS", "-DTHIMBLE_NAMES_BYTES=600", "-DTHIMBLE_STORE"], folder)


def _tokenizer(folder: Path) -> tuple[list[_Unit], list[str]]:
    from tests.fuzz.targets import text_tokenizers

    units = [_Unit(_SOURCES / "tokenizer.c"), *_runtime("tokenizer")]
    for number, tokenizer in enumerate(text_tokenizers()):
        place = folder / f"tables_{number}"
        place.mkdir()
        write_tokenizer(tokenizer, place)
        units += _renamed(place, "tokenizer", number, ["tokenizer_tables.c"])
    return units, []


def _codecs() -> list[StructuredCodec]:
    """English and German, with names."""
    from pipeline.tasks.home_file import load_home
    from pipeline.tasks.text_path import KnownNames
    from tests.fuzz.answers import codec_of

    english = codec_of()
    entries = load_home(ROOT / "models" / "home-de-small" / "home.yaml").entries()
    kept = tuple(entry for entry in entries if entry.kind in english.schema.kinds)
    names = KnownNames("de", kept, ("auf", "das", "im", "licht", "mach", "schalte", "stelle", "und"))
    return [english, StructuredCodec(english.tokenizer, english.schema, names.annotator())]


def _two_languages(source: str, folder: Path) -> tuple[list[_Unit], list[str]]:
    units = [_Unit(_SOURCES / source), *_runtime("normalize", "quantities", "matcher")]
    for number, codec in enumerate(_codecs()):
        place = folder / f"tables_{number}"
        place.mkdir()
        write_text_path(codec, place)
        units += _renamed(place, "annotator", number, sorted(path.name for path in place.glob("*.c")))
    return units, []


def _renamed(place: Path, what: str, number: int, names: Sequence[str]) -> list[_Unit]:
    """Generated files whose one symbol, or whatever else they show, gets a number."""
    shown = {word for path in place.glob("*.[ch]") for word in re.findall(r"\bthimble_model_\w+", path.read_text())}
    options = [f"-D{word}={word}_{number}" for word in sorted(shown - {_RENAMED[what]})]
    options += [f"-D{_RENAMED[what]}={what}_{number}", f"-I{place}"]
    return [_Unit(place / name, tuple(options)) for name in names]


def _answers(folder: Path) -> tuple[list[_Unit], list[str]]:
    from tests.fuzz.answers import codec_of, parts_of

    parts, defines = parts_of(codec_of(), folder)
    return [_Unit(_SOURCES / "answers.c"), *map(_Unit, parts)], defines


def _stored_names(folder: Path) -> tuple[list[_Unit], list[str]]:
    from tests.fuzz.answers import codec_of

    codec = codec_of()
    write_text_path(codec, folder)
    units = [_Unit(_SOURCES / "stored_names.c")]
    units += _runtime("normalize", "quantities", "matcher", "names", "store", "stored_names", "crc32", "answer")
    units += _runtime("", "tokenizer", "sampler")
    return [*units, *(_Unit(path) for path in sorted(folder.glob("*.c")))], []


C_TARGETS: Mapping[str, CTarget] = {
    target.name: target
    for target in (
        CTarget("c-lines", 2500, _text_lines),
        CTarget("c-answer-lines", 2500, _answer_lines),
        CTarget("c-tokenizer", 300, _tokenizer),
        CTarget("c-normalizer", 800, lambda folder: _two_languages("normalizer.c", folder)),
        CTarget("c-matcher", 300, lambda folder: _two_languages("matcher.c", folder)),
        CTarget("c-answers", 300, _answers),
        CTarget("c-stored-names", 1200, _stored_names),
    )
}
