"""The form `rust`: both crates built by cargo, offline."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from pipeline.exports.export import write_export
from pipeline.exports.library import Library
from pipeline.exports.registry import load_form
from pipeline.verification.result import RunResult
from tests.exports.programs import require, run

FORM = load_form("rust")
REGISTRY = Path("/usr/share/cargo/registry")
OFFLINE = f"""\
[source.crates-io]
replace-with = "debian"

[source.debian]
directory = "{REGISTRY}"
"""
STEPS = """\
// The same answer piece by piece, wrong calls, and one that is cancelled.
use {crate}::{{Session, Step}};

#[test]
fn steps() {{
    let mut memory = vec![0; {crate}::{model}().words(64)];
    let mut session = Session::new({crate}::{model}(), &mut memory).unwrap();
    let mut text = [0; 200];
    let whole = session.ask({sentence:?}, &mut text).unwrap();
    assert_eq!(whole, {answer:?});
    let mut answer = Vec::new();
    session.begin({sentence:?}).unwrap();
    let mut piece: &[u8] = &[];
    let mut end = Step::More;
    while end == Step::More {{
        end = session.step(&mut piece).unwrap();
        answer.extend_from_slice(piece);
    }}
    assert_eq!((String::from_utf8(answer).unwrap().as_str(), end), ({pieces:?}, Step::End));
    session.begin({sentence:?}).unwrap();
    session.cancel();
    assert_eq!(session.step(&mut piece).unwrap(), Step::Cancelled);
    assert_eq!(session.begin(&"a".repeat(65)).unwrap_err().to_string(), {long:?});
    assert_eq!(session.ask({sentence:?}, &mut []).unwrap_err().to_string(), "bad-memory");
    assert!(Session::new({crate}::{model}(), &mut [0; 40]).is_err());
    assert_eq!(session.ask({sentence:?}, &mut text[..4]).unwrap().len(), 3);
}}
"""


def test_manifests_say_what_is_there(library: Library, out: Path) -> None:
    write_export(library, FORM, out)
    members = tomllib.loads((out / "Cargo.toml").read_text())["workspace"]["members"]
    assert members == ["thimble-tiny-lights-sys", "thimble-tiny-lights"]
    for member in members:
        package = tomllib.loads((out / member / "Cargo.toml").read_text())["package"]
        assert (package["name"], package["version"], package["license"]) == (member, "1.2.3", "MIT")


def cargo(out: Path, *command: str) -> str:
    """What cargo prints, whose crates are Debian's."""
    (program,) = require("cargo")
    if not list(REGISTRY.glob("cc-1.*")):
        pytest.skip("librust-cc-dev is not installed")
    (out / ".cargo").mkdir(exist_ok=True)
    (out / ".cargo" / "config.toml").write_text(OFFLINE)
    environment = {"CARGO_HOME": str(out.parent / "cargo"), "CARGO_NET_OFFLINE": "true"}
    return run([program, *command, "--quiet", "--manifest-path", out / "Cargo.toml"], environment, cwd=out)


@pytest.mark.exports
def test_the_example_answers(both: Library, out: Path) -> None:
    write_export(both, FORM, out)
    assert cargo(out, "run", "--example", "ask").splitlines() == [model.answer for model in both.models]


@pytest.mark.exports
def test_steps_cancel_and_errors(plain_library: Library, out: Path) -> None:
    write_export(plain_library, FORM, out)
    (model,) = plain_library.models
    tests = out / plain_library.package / "tests"
    tests.mkdir()
    texts = {"sentence": model.sentence, "answer": model.answer, "pieces": model.answer, "long": "long-text"}
    quoted = {name: '"' + text + '"' for name, text in texts.items()}
    text = STEPS.replace(":?}", "}").format(crate=plain_library.identifier, model=model.identifier, **quoted)
    (tests / "steps.rs").write_text(text)
    cargo(out, "test")


@pytest.mark.exports
def test_the_shipped_model_answers(home: tuple[Library, RunResult], out: Path) -> None:
    library, result = home
    write_export(library, FORM, out)
    assert cargo(out, "run", "--release", "--example", "ask") == f"{result.prompts[0].text_out}\n"
