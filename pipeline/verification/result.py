"""`result.json`: what a run on a board, emulated or real, found. Its types, and the one place that reads and writes it.

docs/schemas/result.schema.json is made from these types by the command `schemas`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from pipeline.errors import ThimbleError
from pipeline.files import read_json, write_text
from pipeline.workflow.artifacts import Artifact

__all__ = [
    "RESULT",
    "SCHEMA_VERSION",
    "BudgetResult",
    "CycleCounts",
    "EmulatedCounts",
    "EmulatorVersion",
    "Estimate",
    "FlashBytes",
    "InstructionCounts",
    "LayerCost",
    "PromptResult",
    "RamBytes",
    "RunResult",
    "StepEstimates",
    "TestCounts",
    "TracedPrompts",
    "result_schema",
]

SCHEMA_VERSION: Final = 1
"""Of the file's shape. A change that a reader can notice raises it: a key that goes, comes without a default, or means
something else."""
_REMEDY = "run `python -m pipeline emulate RECIPE --force`, which writes it anew"


class _Part(BaseModel):
    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", ser_json_inf_nan="constants", use_attribute_docstrings=True
    )


class Estimate(_Part):
    """A modelled figure: at least, likely, at most. A measured one has all three equal."""

    low: float
    likely: float
    high: float

    @classmethod
    def exactly(cls, value: float) -> Estimate:
        """A measured figure."""
        return cls(low=value, likely=value, high=value)


class EmulatorVersion(_Part):
    """What ran the image: `qemu` or `renode` and its version; or `serial`, and the port with its speed."""

    name: str
    version: str


class PromptResult(_Part):
    """One prompt: what the board answered step by step, and what it had to answer. All empty but the expected values
    where the board refused the prompt."""

    text: str
    tokens_in: tuple[int, ...]
    tokens_out: tuple[int, ...]
    """Generated token ids, `<eos>` included."""
    text_out: str
    expected_tokens: tuple[int, ...]
    expected_text: str
    end: str
    """Why the answer ended: `eos`, `length` or `context`."""
    ticks: tuple[int, ...]
    """Of the board's counter, one a step."""
    logits_crc: tuple[str, ...]
    """CRC-32 of each step's logits, eight hexadecimal digits."""


class InstructionCounts(_Part):
    """Instructions by the board's counter; 0 where no prompt was answered."""

    prefill_per_token: float
    """A token of a prompt, taken in blocks."""
    prompt_max: float
    """A prompt that fills the context, with the slowest text to read: no prompt takes longer to its first token."""
    decode_mean: float
    """A generated token, mean over all prompts."""
    decode_max: float
    """The step at the last position of the context: none is slower."""
    per_mac: float
    """A multiply-accumulate, by `decode_mean`."""
    steps: int
    """Steps that were counted."""
    answer_mean: float = 0.0
    """A whole answer in answer tokens, only what is allowed computed: the prompt, the steps and the choice of tokens,
    mean over all prompts that were answered; 0 for other models."""
    answer_own_mean: float = 0.0
    """Of it what comes after the prompt."""
    prompt_seen: float = 0.0
    """The slowest of the prompts that were asked, from its tokens to its first token."""
    decode_seen: float = 0.0
    """The slowest step of these."""
    read_max: float = 0.0
    """The slowest text to read, tokenizer, names and quantities: part of `prompt_max`."""


class StepEstimates(_Part):
    """Cycles or milliseconds, of the same things as `InstructionCounts`."""

    prefill_per_token: Estimate
    prompt_max: Estimate
    decode_mean: Estimate
    decode_max: Estimate


class TracedPrompts(_Part):
    """What the cycle model rests on: the board that was traced, and the prompts."""

    board: str
    prompts: tuple[str, ...]


class CycleCounts(StepEstimates):
    """Cycles, modelled from an emulator's trace or measured by a real board's counter, and how."""

    model: str
    """The core and its flash, or the counter that measured."""
    assumptions: tuple[str, ...] = ()
    per_instruction: Estimate | None = None
    """Cycles an instruction of a decode step; None where cycles were measured."""
    sources: tuple[str, ...] = ()
    traced: TracedPrompts | None = None


class LayerCost(_Part):
    """A layer of a decode step. Layers that share a function each get its share."""

    name: str
    function: str
    kind: str
    macs: int
    weight_bytes: int
    instructions: float
    cycles: float


class FlashBytes(_Part):
    """Bytes of flash: what the image takes, and the board's `size`."""

    code: int
    weights: int
    tables: int
    """The tokenizer's and the kernels' tables, and initial values of variables."""
    total: int
    size: int


class RamBytes(_Part):
    """Bytes of RAM: what the image takes, with the whole stack, and the board's `size`."""

    kv_cache: int
    activations: int
    application: int
    stack: int
    total: int
    stack_peak: int
    """The most of the stack that was in use."""
    largest_live_set: int
    """The least that activations could take."""
    size: int


class BudgetResult(_Part):
    """The budgets that the recipe has for the board (None: no limit), and a line for each that is not kept."""

    limits: dict[str, float | dict[str, float] | None]
    failures: tuple[str, ...]


class EmulatedCounts(_Part):
    """What the last run under an emulator counted and modelled, to compare a real board with."""

    emulator: EmulatorVersion
    instructions: InstructionCounts | None
    cycles: CycleCounts | None


class TestCounts(_Part):
    """What the model made of the sentences of one half of the task's tests."""

    __test__ = False  # pytest would collect it

    right: int
    """What was asked for was done, and nothing where nothing may be."""
    nothing: int
    """Nothing was done though something was asked for."""
    wrong: int
    """Something else was done."""


class RunResult(_Part):
    """All that a run on one board found, as `result.json` holds it."""

    schema_version: Literal[1] = SCHEMA_VERSION
    recipe: str
    board: str
    engine: str
    emulator: EmulatorVersion
    ok: bool
    """Whether every check passed."""
    checks: dict[str, bool]
    failures: tuple[str, ...]
    """A line for each thing that is wrong."""
    prompts: tuple[PromptResult, ...]
    instructions: InstructionCounts | None
    """None where the board counted cycles."""
    cycles: CycleCounts | None
    """None where only an emulator's instructions are known."""
    milliseconds: StepEstimates
    clock_hz: int
    macs: int
    """Multiply-accumulates of a decode step."""
    flash_bytes: FlashBytes
    ram_bytes: RamBytes
    budgets: BudgetResult
    layers: tuple[LayerCost, ...] = ()
    quality: dict[str, dict[str, float]] = {}
    """Figures by engine (`float`, `quantized`, `device`, `hassil`) and split, or by kind of figure for a model that
    writes text."""
    quality_sentences: dict[str, int] = {}
    """How many sentences of each split were asked: `host`, `device`."""
    tests: dict[str, TestCounts] = {}
    """Of the task's tests, by half (`look`, whose mistakes the report shows, and `blind`); empty where it has none."""
    quick: bool = False
    """Whether accuracy was measured on few sentences, by `--quick`."""
    versions: dict[str, str] = {}
    seconds: dict[str, float] = {}
    """That each stage took."""
    emulated: EmulatedCounts | None = None
    """Beside a real board's figures, those of the emulator."""

    @model_validator(mode="after")
    def _ok_sums_up_the_checks(self) -> RunResult:
        if self.ok != all(self.checks.values()):
            raise ValueError("`ok` is not what the checks say")
        return self

    @classmethod
    def load(cls, path: Path) -> RunResult:
        """Reads a `result.json`.

        Raises:
            ThimbleError: there is none, it is damaged, or of another version of the schema.
        """
        return cls.from_data(read_json(path, _REMEDY), str(path))

    @classmethod
    def from_data(cls, data: Mapping[str, Any], source: str) -> RunResult:
        """Checks plain data, as JSON holds it.

        Args:
            data: the content.
            source: the file that it comes from, for errors.

        Raises:
            ThimbleError: the data are damaged, or of another version of the schema.
        """
        version = data.get("schema_version")
        if version != SCHEMA_VERSION:
            which = "an older schema" if version is None else f"schema version {version}"
            raise ThimbleError(f"{source} is of {which}; this Thimble reads version {SCHEMA_VERSION}", _REMEDY)
        try:
            return cls.model_validate_json(json.dumps(data))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise ThimbleError(f"{source} is damaged: {key and f'`{key}`: '}{first['msg']}", _REMEDY) from None

    def save(self, path: Path) -> None:
        """Writes the file whole or not at all."""
        write_text(path, self.model_dump_json(indent=1) + "\n")

    def as_data(self) -> dict[str, Any]:
        """Plain data, as the file holds it."""
        return self.model_dump(mode="json")

    def failure(self) -> str:
        """The first failure, with the number of the others, for a line of text."""
        more = f" (and {len(self.failures) - 1} more)" if len(self.failures) > 1 else ""
        return f"{self.failures[0]}{more}"


RESULT: Artifact[RunResult] = Artifact(
    "result.json", RunResult.load, lambda path, result: result.save(path), SCHEMA_VERSION
)
"""Of `emulate`, and, in a folder of its own, of the command `serial`."""


def result_schema() -> dict[str, Any]:
    """The JSON schema of the file."""
    return RunResult.model_json_schema(mode="serialization")
