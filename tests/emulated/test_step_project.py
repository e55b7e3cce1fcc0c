"""`compile --project`: a decode step without a recipe, verified on the emulated board, with and without a tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.commands import step_project
from pipeline.commands.main import main
from pipeline.device.protocol import Device
from pipeline.emulators.qemu import Qemu
from pipeline.errors import DeviceError, MissingTool, ThimbleError
from pipeline.firmware.token_ids import TokenIds
from pipeline.targets.boards import load_board
from pipeline.verification.oracle import Oracle
from pipeline.verification.result import RESULT
from tests.support.attention_step import AttentionSpec, attention_step
from tests.support.standin import standin_tokenizer

BOARD = "mps2_an386"
SMALL = AttentionSpec(kv_heads=1, group=2, head_dim=8)  # 24 ids come in, of which 16 go out


@pytest.fixture(scope="module")
def step(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("step") / "small step.tflite"
    path.write_bytes(attention_step(SMALL))
    return path


@pytest.fixture(scope="module")
def project(step: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of token ids."""
    out = tmp_path_factory.mktemp("project") / "out"
    assert main(["compile", str(step), "--out", str(out), "--project", BOARD, "--prompt", "1 2 15"]) == 0
    return out


def test_a_step_without_a_tokenizer_takes_and_gives_token_ids(project: Path, step: Path) -> None:
    result = RESULT.load(project)
    assert result.ok and result.checks["logits_crc_match"] and result.checks["trace_matches_counter"]
    first, random = result.prompts
    assert first.text == "1 2 15" and first.tokens_in == (1, 2, 15)
    oracle, fed = Oracle(step.read_bytes()), [1, 2, 15]
    expected: list[int] = []
    for token in fed[:-1]:
        oracle.step(token)
    while oracle.position < oracle.context:
        expected.append(int(oracle.step(expected[-1] if expected else fed[-1]).argmax()))
    assert first.tokens_out == tuple(expected) and first.text_out == " ".join(map(str, expected))
    assert len(random.ticks) == oracle.context, "one prompt goes on to the end"
    names = {path.relative_to(project).as_posix() for path in project.rglob("*")}
    assert {"model/model.c", "project/CMakeLists.txt", "firmware.elf", "expected.json", "sizes.json"} <= names
    assert not any("tokenizer" in name for name in names)


def test_its_report_has_no_playground_and_no_recipe(project: Path) -> None:
    page = (project / "index.html").read_text(encoding="utf-8")
    assert "small step" in page and "What it answers" in page and "verified" in page and 'class="flame"' in page
    assert "Try it" not in page and "The recipe" not in page and "playground" not in page
    assert f"--project {BOARD}" in page


def test_the_board_takes_ids_alone(project: Path) -> None:
    with Device(Qemu().start(project / "firmware.elf", load_board(BOARD)), timeout=20) as device:
        info = device.info()
        assert (info.model, info.tokenizer_version, info.vocab) == ("small step", "", 16)
        assert device.encode(b"3 0  15") == [3, 0, 15]
        answer = device.ask("3 4", 2)
        assert answer.tokens_in == (3, 4) and answer.text == " ".join(map(str, answer.tokens_out))
        assert device.generate([3, 4], 2).tokens_out == answer.tokens_out == device.prompt("3 4", 2).tokens_out
        for text in ("16", "1 x", "-1", "1\x002", "é"):
            with pytest.raises(DeviceError, match="token ids"):
                device.ask(text, 1)
        with pytest.raises(DeviceError, match="malformed"):
            device.request("ASK 1")
        with pytest.raises(DeviceError, match="takes 7 tokens"):
            device.ask("1 1 1 1 1 1 1", 1)


@pytest.mark.slow
def test_a_step_with_a_tokenizer_takes_and_gives_text(tmp_path: Path) -> None:
    tokenizer, step, out = standin_tokenizer(), tmp_path / "step.tflite", tmp_path / "out"
    step.write_bytes(attention_step(AttentionSpec(kv_heads=5, group=1, head_dim=60, context=16, vocab=300)))
    tokenizer.save(tmp_path / "tokenizer.json")
    arguments = ["compile", str(step), "--out", str(out), "--tokenizer", str(tmp_path / "tokenizer.json")]
    assert main([*arguments, "--project", "mps2_an385", "--prompt", "turn on the lights"]) == 0
    result = RESULT.load(out)
    assert result.ok and result.prompts[0].tokens_in == tuple(tokenizer.encode_prompt("turn on the lights"))
    assert (out / "project" / "model" / "tokenizer_tables.c").exists()


def test_what_cannot_be_made_is_said_and_leaves_nothing(
    step: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, standin = tmp_path / "out", tmp_path / "tokenizer.json"
    standin_tokenizer().save(standin)
    common = ["compile", str(step), "--out", str(out)]
    for more, told in (
        (["--project", "mps2_an386", "--tokenizer", str(standin)], "300 token ids, the step's logits 16"),
        (["--project", "mps2_an386", "--prompt", "1 99"], "'99' is no token id"),
        (["--project", "mps2_an386", "--core", "cortex-m7"], "has a cortex-m4"),
        (["--project", "mps2_an386", "--with-runtime"], "brings the runtime"),
        (["--project", "no_board"], "no_board"),
        (["--prompt", "1"], "--prompt is for a project alone"),
        (["--tokenizer", str(standin)], "--tokenizer is for a project alone"),
    ):
        assert main([*common, *more]) == 1
        assert told in " ".join(capsys.readouterr().err.split())
        assert not out.exists() and not [*tmp_path.glob(".out*")]


def test_firmware_stays_where_nothing_emulates_the_board(
    step: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(*_: object) -> None:
        raise MissingTool("no emulator", "install one")

    monkeypatch.setattr(step_project, "emulator_for", none)
    out = tmp_path / "out"
    assert main(["compile", str(step), "--out", str(out), "--project", BOARD]) == 1
    assert "no emulator" in capsys.readouterr().err
    assert (out / "firmware.elf").exists() and not (out / "result.json").exists()


def test_token_ids_are_their_own_text() -> None:
    ids = TokenIds(300)
    assert ids.encode_prompt("7 299 0") == [7, 299, 0] and ids.decode([7, 299, 0]) == "7 299 0"
    assert ids.decode(ids.encode(" 7  299 ")) == "7 299"
    with pytest.raises(ThimbleError, match="70,000"):
        TokenIds(70_000)
