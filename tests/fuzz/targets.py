"""What the campaign feeds: for each kind of input a reader, and what works with what it read.

A target returns when the input was accepted, and raises a `ThimbleError` when it was refused. Anything else is a fault.
"""

from __future__ import annotations

import itertools
import json
import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from pipeline.errors import ThimbleError
from tests.fuzz.mutants import binary_mutants, json_mutants, text_mutants, yaml_mutants

__all__ = ["CORPUS", "TARGETS", "Target", "text_tokenizers"]

CORPUS = Path(__file__).parent / "corpus"
_MOST_POINTS = 60

Check = Callable[[Path, bytes], None]
"""Takes a folder of its own, and the input."""


@dataclass(frozen=True)
class Target:
    """A kind of input.

    Attributes:
        name: as the command line has it.
        inputs: the strategy that makes inputs.
        prepare: what is done once, in the folder that all inputs share; gives the check of one input.
    """

    name: str
    inputs: Callable[[], st.SearchStrategy[bytes]]
    prepare: Callable[[Path], Check]


def _seeds(kind: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / kind).iterdir())]


def _yaml(kind: str) -> Callable[[], st.SearchStrategy[bytes]]:
    return lambda: yaml_mutants(_seeds(kind))


def _task_files(folder: Path) -> None:
    """The files that the recipes of the corpus name."""
    for source, name in (
        ("task/washer.yaml", "sentences.yaml"),
        ("home/home.yaml", "home.yaml"),
        ("tests/tests.yaml", "tests.yaml"),
        ("pairs/pairs.jsonl", "pairs.jsonl"),
        ("pairs/pairs.tsv", "pairs.tsv"),
        ("tools/tools.json", "tools.json"),
    ):
        shutil.copyfile(CORPUS / source, folder / name)
    (folder / "more").mkdir(exist_ok=True)
    shutil.copyfile(CORPUS / "task/washer.yaml", folder / "more" / "more.yaml")
    texts = "\n\n".join(f"Story {number}. The fox went out.\nIt came home." for number in range(20))
    (folder / "stories.txt").write_text(texts, encoding="utf-8")


def _recipe(folder: Path) -> Check:
    from pipeline.files import fingerprint
    from pipeline.recipes.load import load_recipe
    from pipeline.recipes.paths import file_digests, task_files
    from pipeline.recipes.schema import HomeAssistantConfig
    from pipeline.targets.boards import load_board
    from pipeline.tasks.registry import load_task
    from pipeline.workflow.workspace import Workspace

    _task_files(folder)

    def check(place: Path, data: bytes) -> None:
        path = folder / "recipe.yaml"
        path.write_bytes(data)
        recipe = load_recipe(path)
        fingerprint(recipe.fingerprint_data())
        model = recipe.model
        assert model.kv_cache_bytes > 0 and model.parameter_count > 0
        assert model.kv_window is None or model.window
        for board in recipe.boards:
            assert recipe.budgets.for_board(load_board(board).name) is not None
        assert recipe.as_quick().evaluate.quick
        for named in (recipe.shipped_path, recipe.weights_path, recipe.start_path, recipe.teacher_path):
            assert named is None or str(named)
        file_digests(task_files(recipe))
        if not isinstance(recipe.task, HomeAssistantConfig):  # its sentences come with the package
            load_task(recipe)
        workspace = Workspace(place / "build", recipe.name)
        with workspace.locked():
            workspace.begin("data", "", "0", resumable=False)

    return check


def _sweep(folder: Path) -> Check:
    from pipeline.sweep.plan import load_sweep
    from pipeline.sweep.run import SweepOptions, _Folder
    from pipeline.sweep.search import proposer_of

    _task_files(folder)
    shutil.copyfile(CORPUS / "recipe" / "home.yaml", folder / "recipe.yaml")

    def check(place: Path, data: bytes) -> None:
        path = folder / "sweep.yaml"
        path.write_bytes(data)
        sweep = load_sweep(path)
        root = place / "build" / "sweep"
        (root / sweep.name).mkdir(parents=True)
        points = _Folder(root / sweep.name, SweepOptions(build=place / "build"))
        grid = sweep.grid() if sweep.search is None else sweep.singles()
        for point in grid[:_MOST_POINTS]:
            points.check(point)
        proposer = proposer_of(sweep, points.begun())
        for point in itertools.islice(iter(proposer.next, None), 3):
            points.begin(point)
            points.job(point)
            proposer.tell(point, None)

    return check


def _board(folder: Path) -> Check:
    from pipeline.firmware.project import write_project
    from pipeline.targets.boards import read_board
    from pipeline.text.codec import PlainCodec
    from pipeline.text.tokenizers.byte_bpe import Tokenizer

    codec = PlainCodec(Tokenizer.train(["on", "off"], 270))
    model = folder / "model"
    model.mkdir()
    (model / "model.c").write_text("/* none */\n", encoding="ascii")
    (folder / "case").mkdir()

    def check(place: Path, data: bytes) -> None:
        path = folder / "case" / "board.yaml"
        path.write_bytes(data)
        board = read_board(path)
        json.dumps(board.summary())
        assert board.digest and board.packing
        out = place / "build"
        write_project(model, codec, board, "model", out)
        facts = (out / "board" / "board_facts.h").read_text(encoding="ascii")
        assert len(facts.splitlines()) == 11, "a fact has several lines"

    return check


def _home(folder: Path) -> Check:
    from pipeline.tasks.home_file import load_home

    def check(place: Path, data: bytes) -> None:
        path = folder / "home.yaml"
        path.write_bytes(data)
        for entry in load_home(path).entries():
            entry.text.encode()

    return check


def _tests(folder: Path) -> Check:
    from pipeline.tasks.tests_file import load_tests

    def check(place: Path, data: bytes) -> None:
        path = folder / "tests.yaml"
        path.write_bytes(data)
        for test in load_tests(path):
            assert test.label and test.intent is not None
            assert test.is_blind in (False, True)

    return check


def _task(folder: Path) -> Check:
    from pipeline.recipes.schema import SentencesConfig
    from pipeline.tasks.sentences.source import load_sentences

    config = SentencesConfig(files=("sentences.yaml",))

    def check(place: Path, data: bytes) -> None:
        (folder / "sentences.yaml").write_bytes(data)
        load_sentences(config, folder, is_strict=False)
        source = load_sentences(config, folder)
        rng = random.Random(1)
        for _ in range(20):
            sample = source.draw(rng)
            sample.sentence.encode()
            json.dumps(sample.slots)

    return check


def _tools(folder: Path) -> Check:
    from pipeline.recipes.schema import ToolsConfig
    from pipeline.tasks.own_tools import load_tool_sentences
    from pipeline.tasks.tool_files import call_maker, read_tools
    from pipeline.text.answers import StructuredAnswer

    def check(place: Path, data: bytes) -> None:
        path = folder / "tools.json"
        path.write_bytes(data)
        tools = read_tools([("tools.json", path)])
        make = call_maker(tools)
        for tool in tools:
            tool.faults()
            slots = {name: "5" for name, parameter in tool.parameters.items() if not parameter.fault}
            json.dumps(make(StructuredAnswer(tool.name, slots)))
            for parameter in tool.parameters.values():
                assert parameter.fault or (parameter.synonyms is not None and parameter.type)
        examples: dict[str, Any] = {tool.name: () for tool in tools}
        load_tool_sentences(
            ToolsConfig(files=("tools.json",), language="en", examples=examples), folder, is_strict=False
        )

    return check


def _pairs(name: str) -> Callable[[Path], Check]:
    def prepare(folder: Path) -> Check:
        from pipeline.recipes.schema import PairsConfig
        from pipeline.tasks.own_pairs import load_pairs_task

        config = PairsConfig(files=(name,))

        def check(place: Path, data: bytes) -> None:
            (folder / name).write_bytes(data)
            load_pairs_task(config, folder)

        return check

    return prepare


def _corpus(folder: Path) -> Check:
    from pipeline.recipes.schema import CorpusConfig
    from pipeline.tasks.registry import load_task

    config = CorpusConfig(files=("text.txt",), held_out=0.3)

    def check(place: Path, data: bytes) -> None:
        (folder / "text.txt").write_bytes(data)
        load_task(config, folder)

    return check


def _corpus_texts() -> st.SearchStrategy[bytes]:
    text = "\n\n".join(f"Story {number}. The fox went out.\nIt came home." for number in range(8)).encode()
    return json_mutants([text, b"one\n\ntwo\n\nthree\n\nfour"])


def _checkpoints() -> st.SearchStrategy[bytes]:
    return binary_mutants([*_small_checkpoints(), *_OTHER_FILES])


def _small_checkpoints() -> Iterator[bytes]:
    import tempfile

    from tests.support.made_llama2c import checkpoint_file, header_of

    with tempfile.TemporaryDirectory() as folder:
        for tied in (True, False):
            yield checkpoint_file(Path(folder) / "model.bin", header_of(tied=tied)).read_bytes()


_OTHER_FILES = (
    b"<!DOCTYPE html><html><body>Not found</body></html>",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 60816028\n",
    b"GGUF\x03\0\0\0" + b"\0" * 40,
    b'\x60\0\0\0\0\0\0\0{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    + b"\0" * 8,
    b"PK\x03\x04" + b"\0" * 60,
    b"Hello, this is a text of some length, and no model.",
    b"\x1f\x8b\x08" + b"\0" * 60,
)
"""What people give in a checkpoint's place."""


def _checkpoint(folder: Path) -> Check:
    from pipeline.importers.llama2c import read_checkpoint

    def check(place: Path, data: bytes) -> None:
        path = folder / "model.bin"
        path.write_bytes(data)
        checkpoint = read_checkpoint(path)
        config = checkpoint.header.config(1)
        assert config.parameter_count > 0 and set(checkpoint.weights) == set(checkpoint.header.shapes)

    return check


def _tokenizer_files() -> st.SearchStrategy[bytes]:
    import tempfile

    from tests.support.made_llama2c import pieces_of, tokenizer_file

    with tempfile.TemporaryDirectory() as folder:
        path = tokenizer_file(Path(folder) / "tokenizer.bin", pieces_of(_LEARNED))
        return binary_mutants([path.read_bytes(), *_OTHER_FILES])


_LEARNED: Mapping[str, float] = {
    " ": -1.0, "a": -2.0, "b": -3.0, "c": -4.0, "ab": -5.0, " a": -6.0, "abc": -7.0, "é": -8.0, "e": -9.0,
    "日": -10.0, "n": -11.0
}  # fmt: skip


def _tokenizer(folder: Path) -> Check:
    from pipeline.text.tokenizers.llama2c import Llama2cTokenizer
    from pipeline.text.tokenizers.load import load_tokenizer
    from tests.support.made_llama2c import pieces_of

    size = len(pieces_of(_LEARNED))

    def check(place: Path, data: bytes) -> None:
        path = folder / "tokenizer.bin"
        path.write_bytes(data)
        tokenizer = Llama2cTokenizer.read(path, size)
        _use(tokenizer)
        saved = folder / "tokenizer.json"
        tokenizer.save(saved)
        assert load_tokenizer(saved).encode("a b") == tokenizer.encode("a b")

    return check


def _use(tokenizer: Any) -> None:
    ids = tokenizer.encode("abc é 日本")
    assert isinstance(tokenizer.decode(ids), str)
    assert tokenizer.template is not None and tokenizer.pieces and tokenizer.ranked_merges is not None


def _saved_tokenizers() -> st.SearchStrategy[bytes]:
    import tempfile

    from pipeline.text.tokenizers.byte_bpe import Tokenizer
    from pipeline.text.tokenizers.llama2c import Llama2cTokenizer
    from pipeline.text.tokenizers.text_bpe import TextTokenizer
    from tests.support.made_llama2c import pieces_of

    texts, scores = zip(*pieces_of(_LEARNED), strict=True)
    seeds = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        words = ["turn on the light", "turn off the light"]
        for tokenizer in (
            Tokenizer.train(words, 280), TextTokenizer.train(words, 280), Llama2cTokenizer(texts, scores),
        ):  # fmt: skip
            tokenizer.save(path)
            seeds.append(path.read_bytes())
    return json_mutants(seeds)


def _saved_tokenizer(folder: Path) -> Check:
    from pipeline.text.tokenizers.load import load_tokenizer

    def check(place: Path, data: bytes) -> None:
        path = folder / "tokenizer.json"
        path.write_bytes(data)
        _use(load_tokenizer(path))

    return check


def _sentences(folder: Path) -> Check:
    """`sentences.jsonl` and `.hashes`, which training must not see."""
    from pipeline.tasks.excluded import read_excluded

    def check(place: Path, data: bytes) -> None:
        path = folder / "sentences.jsonl"
        path.write_bytes(data)
        read_excluded([path], str.split)

    return check


def _text_bytes() -> st.SearchStrategy[bytes]:
    return text_mutants().map(lambda text: text.encode("utf-8", "surrogatepass"))


def text_tokenizers() -> Sequence[Any]:
    """One of each kind."""
    from pipeline.text.tokenizers.byte_bpe import Tokenizer
    from pipeline.text.tokenizers.llama2c import Llama2cTokenizer
    from pipeline.text.tokenizers.text_bpe import TextTokenizer
    from tests.support.made_llama2c import pieces_of

    words = ["turn on the kitchen lights", "café 21.5 °C", "the End. \n next"]
    texts, scores = zip(*pieces_of(_LEARNED), strict=True)
    return Tokenizer.train(words, 320), TextTokenizer.train(words, 320), Llama2cTokenizer(texts, scores)


def _text(folder: Path) -> Check:
    """The device's tokenizers, compiled for the host, against the host's: same ids."""
    from tests.emulated.test_tokenizer_in_c import NOT_UTF8, compile_tokenizer

    pairs = []
    for number, tokenizer in enumerate(text_tokenizers()):
        place = folder / str(number)
        place.mkdir()
        pairs.append((tokenizer, compile_tokenizer(tokenizer, place)))

    def check(place: Path, data: bytes) -> None:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            for _, in_c in pairs:
                assert in_c.encode(data) == NOT_UTF8, "no UTF-8 is refused"
            raise ThimbleError("no UTF-8", "as the device says") from None
        for tokenizer, in_c in pairs:
            if "\0" not in text:
                assert in_c.encode(data) == tokenizer.encode(text), type(tokenizer).__name__

    return check


def _tflites() -> st.SearchStrategy[bytes]:
    from tests.fuzz.tflite_mutants import tflite_mutants

    return tflite_mutants()


def _tflite(folder: Path) -> Check:
    from tests.fuzz.tflite_target import prepare_tflite

    return prepare_tflite(folder)


TARGETS: Mapping[str, Target] = {
    target.name: target
    for target in (
        Target("recipe", _yaml("recipe"), _recipe),
        Target("sweep", _yaml("sweep"), _sweep),
        Target("board", _yaml("board"), _board),
        Target("task", _yaml("task"), _task),
        Target("home", _yaml("home"), _home),
        Target("tests", _yaml("tests"), _tests),
        Target("tools", lambda: json_mutants(_seeds("tools")), _tools),
        Target("pairs", lambda: json_mutants([_seeds("pairs")[0]]), _pairs("pairs.jsonl")),
        Target("pairs-tsv", lambda: json_mutants([_seeds("pairs")[1]]), _pairs("pairs.tsv")),
        Target("corpus", _corpus_texts, _corpus),
        Target("sentences", lambda: json_mutants([_seeds("pairs")[0]]), _sentences),
        Target("checkpoint", _checkpoints, _checkpoint),
        Target("tokenizer", _tokenizer_files, _tokenizer),
        Target("tokenizer-json", _saved_tokenizers, _saved_tokenizer),
        Target("text", _text_bytes, _text),
        Target("tflite", _tflites, _tflite),
    )
}
