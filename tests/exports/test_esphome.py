"""The form `esphome`: checked and turned into C++ by ESPHome, its C++ against a stand-in for ESPHome's core."""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Timer

import pytest
import yaml

from pipeline.errors import UnsupportedModel
from pipeline.exports.export import write_export
from pipeline.exports.library import Library
from pipeline.exports.registry import load_form
from tests.exports.programs import require, run

FORM = load_form("esphome")
STAND_IN = Path(__file__).parent / "esphome"
PROGRAM = """\
#include "model_component.h"

#include <cstdio>

using namespace esphome;
using {space}::Answer;

int main() {{
  {space}::Model model;
  model.setup();
  model.get_action_trigger()->action = [](const Answer &answer) {{
    printf("%s; %s; %s; %d\\n", answer.text.c_str(), answer.intent.c_str(), answer.get("name").c_str(),
           answer.confidence > 0.1f);
  }};
  model.get_no_match_trigger()->action = [](const Answer &answer) {{ printf("%s!\\n", answer.intent.c_str()); }};
  {space}::AskAction<> ask(&model);
  ask.set_text(std::string({sentence}));
  static_cast<Action<> &>(ask).play();
  int loops = 0;
  while (model.is_busy()) {{
    model.loop();
    loops++;
  }}
  printf("%d\\n", loops > 3);
  model.ask("\\xe2\\x98\\x83");
  while (model.is_busy()) {{
    model.loop();
  }}
  return model.ask(std::string(257, 'a')) || model.has_failed;
}}
"""


def test_models_that_an_automation_cannot_act_on_are_refused(plain_library: Library, both: Library, out: Path) -> None:
    with pytest.raises(UnsupportedModel, match=r"tiny\.text answers in text"):
        write_export(plain_library, FORM, out)
    with pytest.raises(UnsupportedModel, match="holds one model, not 2"):
        write_export(both, FORM, out)
    assert not out.exists()


@pytest.mark.exports
def test_the_component_takes_a_token_a_loop(library: Library, out: Path, tmp_path: Path) -> None:
    compiler, c_compiler = require("g++", "gcc")
    write_export(library, FORM, out)
    folder = out / "components" / library.identifier
    sentence = f'"{library.models[0].sentence}"'
    (tmp_path / "main.cpp").write_text(PROGRAM.format(space=library.identifier, sentence=sentence))
    objects = []
    for path in folder.glob("*.c"):
        objects.append(tmp_path / f"{path.stem}.o")
        run([c_compiler, "-std=gnu11", "-Wall", "-c", path, "-o", objects[-1]])
    # As ESPHome compiles it; sizes of C that are sums of two enumerations' members are a warning there.
    warnings = ("-std=gnu++20", "-Wall", "-Wextra", "-Werror", "-Wno-deprecated-enum-enum-conversion")
    sources = [tmp_path / "main.cpp", *folder.glob("*.cpp")]
    run([compiler, *warnings, f"-I{STAND_IN}", f"-I{folder}", *sources, *objects, "-o", tmp_path / "program"])
    answer = f"{library.models[0].answer}; TurnOn; Desk Lamp; 1\n1\n"
    assert run([tmp_path / "program"]) == f"{answer}NoMatch!\nlong-text"


def generate(esphome: Path, example: Path, home: Path) -> Path:
    """The folder of C++ that ESPHome makes of a device's YAML."""
    environment = {"HOME": str(home), "PLATFORMIO_CORE_DIR": str(home / "core")}
    assert "on_action" in run([esphome, "config", example], environment)
    run([esphome, "compile", "--only-generate", example], environment)
    (main,) = example.parent.rglob("main.cpp")
    return main.parent


@pytest.mark.exports
def test_esphome_takes_the_example_for_an_esp32(library: Library, out: Path, tmp_path: Path) -> None:
    (esphome,) = require("esphome")
    write_export(library, FORM, out)
    shutil.copytree(out, tmp_path / "device")
    folder = generate(esphome, tmp_path / "device" / "examples" / "ask.yaml", tmp_path)
    text = (folder / "main.cpp").read_text()
    for line in (f"{library.identifier}::Model();", "->get_action_trigger()", "->get_no_match_trigger()"):
        assert line in text, line
    copied = folder / "esphome" / "components" / library.identifier
    for path in (out / "components" / library.identifier).glob("*.[ch]*"):
        assert (copied / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.exports
def test_a_device_of_esphomes_host_platform_answers(library: Library, out: Path, tmp_path: Path) -> None:
    """ESPHome itself, as a program of this machine: its core, its generated C++ and the component."""
    (esphome,) = require("esphome")
    write_export(library, FORM, out)
    shutil.copytree(out, tmp_path / "device")
    example = tmp_path / "device" / "examples" / "ask.yaml"
    device = yaml.safe_load(example.read_text())
    del device["esp32"]
    example.write_text(yaml.safe_dump({**device, "host": {}}))
    folder = generate(esphome, example, tmp_path)
    options = ("-DUSE_HOST", "-DESPHOME_LOG_LEVEL=ESPHOME_LOG_LEVEL_DEBUG", f"-I{folder}", "-w", "-c")

    def compile_one(path: Path) -> Path:
        to = tmp_path / f"{path.relative_to(folder).as_posix().replace('/', '_')}.o"
        kind = ("gcc",) if path.suffix == ".c" else ("g++", "-std=gnu++20", "-fno-exceptions")
        run([*kind, *options, path, "-o", to])
        return to

    with ThreadPoolExecutor() as pool:
        objects = list(pool.map(compile_one, [*folder.rglob("*.c"), *folder.rglob("*.cpp")]))
    run(["g++", *objects, "-lpthread", "-o", tmp_path / "device.elf"])
    command = ["stdbuf", "-oL", str(tmp_path / "device.elf")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        timer = Timer(60, process.kill)
        timer.start()
        lines = []
        for line in process.stdout:
            lines.append(line)
            if library.models[0].answer in line:
                break
        timer.cancel()
        process.kill()
    assert library.models[0].answer in lines[-1], "".join(lines)
