"""Whether the board does what the network's specification says: the same tokens, the same bytes of logits at every
step, and counts that can be true."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from pipeline.device.protocol import Answer, Device, Step, full_context
from pipeline.errors import DeviceError, ThimbleError
from pipeline.files import write_json
from pipeline.numerics.confidence import CERTAIN, joint, probability
from pipeline.numerics.sampler import logit_step
from pipeline.recipes.load import Recipe
from pipeline.tasks.registry import load_task
from pipeline.text.answers import StructuredPrompt
from pipeline.text.codec import Codec
from pipeline.verification.oracle import Oracle
from pipeline.verification.reply import REFUSED, Branch, Choice, choose, refusal, reply_of, second_best
from pipeline.verification.result import InstructionCounts, PromptResult

__all__ = [
    "Expectation",
    "ExpectedStep",
    "FullContext",
    "StepEngine",
    "Verification",
    "min_per_mac",
    "reference_full_context",
    "reference_run",
    "reference_run_to_context_end",
    "reference_runs",
    "verify",
    "write_expectations",
]

# What no Cortex-M can do better: SMLAD does two multiply-accumulates, MLA two of packed rows; a vector of Helium 16.
MIN_INSTRUCTIONS_PER_MAC = 0.5
MIN_INSTRUCTIONS_PER_MAC_HELIUM = 1 / 16
HELIUM_CORES = ("cortex-m55",)
# What a request may take besides its steps, in instructions: per step the checksum and the choice of the next token
# (18 an id, measured) and a printed line (1,100), and the last line; emptying the KV cache (4 a byte). With room for
# other compilers.
OVERHEAD_PER_VOCAB_ID, OVERHEAD_PER_STEP, OVERHEAD_PER_CACHE_BYTE, OVERHEAD_PER_REQUEST = 32, 2500, 12, 10_000
# The confidence of each token of an answer in answer tokens (51 an id, measured).
OVERHEAD_PER_ANSWER_ID = 80
# A step in which SysTick, 24 bits wide, comes round takes its handler's instructions too (5, and room for other
# compilers); which step that is differs from request to request.
SYSTICK_WRAP_OVERHEAD = 8
_TEXTS_TRIED = 16
_MAX_QUOTED = 1000  # characters of a prompt: a line of the protocol has 1024


class StepEngine(Protocol):
    """Engine of the expected logits: TensorFlow Lite Micro's oracle, or the generated C on the host."""

    def reset(self) -> None: ...

    def step(self, token: int) -> NDArray[np.signedinteger]: ...


@dataclass(frozen=True)
class ExpectedStep:
    """The token fed, the CRC-32 of the logits, and the greedy next token. `allowed_crc` is that of the logits that may
    follow in an answer in answer tokens, 0 where it is only one; None for other steps."""

    token: int
    crc: int
    next: int
    allowed_crc: int | None = None


@dataclass(frozen=True)
class Expectation:
    """Expected answer to a prompt. The first `tokens_in` steps feed the prompt, each later one the token generated
    before. A sentence for which the model is not asked has none. `confidence`, in 1/65536, `reason` and `choices` are
    those of answers in answer tokens."""

    text: str
    max_new: int
    tokens_in: int
    steps: tuple[ExpectedStep, ...]
    end: str
    text_out: str
    confidence: int | None = None
    reason: str = ""
    choices: tuple[Choice, ...] = ()

    @property
    def tokens_out(self) -> tuple[int, ...]:
        """The generated tokens, `<eos>` included."""
        return tuple(step.next for step in self.steps[self.tokens_in - 1 :])


@dataclass(frozen=True)
class FullContext:
    """CRC-32 of the logits after the last token of a context that `full_context` fills, and the greedy next token."""

    crc: int
    next: int


@dataclass(frozen=True)
class Verification:
    """Result of a verification: `checks` by name, a line for each thing that is wrong, each prompt's tokens and texts,
    and instruction counts; `stack_peak` in bytes."""

    checks: dict[str, bool]
    failures: tuple[str, ...]
    prompts: tuple[PromptResult, ...]
    instructions: InstructionCounts
    stack_peak: int

    @property
    def ok(self) -> bool:
        """True if every check holds."""
        return all(self.checks.values())


@dataclass
class _Findings:
    checks: dict[str, bool] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def check(self, name: str, holds: bool, otherwise: str) -> None:
        self.checks[name] = self.checks.get(name, True) and holds
        if not holds:
            self.failures.append(f"{name}: {otherwise}")


@dataclass(frozen=True)
class _CountBounds:
    """Bounds of tick counts: minimum of a step; maximum overhead of a step, of a token of an answer in answer tokens,
    and of a request; the relative tolerance of repeated steps, plus the overhead of a SysTick wrap."""

    min_ticks: float
    step_overhead: float
    answer_overhead: float
    request_overhead: float
    repeat_tolerance: float
    wrap: float

    def repeats(self, first: int, second: int) -> bool:
        """Whether two counts of one step can both be true; the tick may start at another moment of the step."""
        return abs(first - second) <= max(1, self.repeat_tolerance * first) + self.wrap


def reference_run(
    engine: StepEngine,
    codec: Codec,
    context: int,
    text: str,
    max_new: int,
    unbounded: bool = False,
    step: int = 0,
) -> Expectation:
    """Runs a prompt through the engine as the firmware does.

    Args:
        engine: what computes the logits.
        codec: of the model.
        context: maximum number of tokens of a prompt, and of prompt and answer together unless `unbounded` (a sliding
            window).
        text: the prompt.
        max_new: maximum number of tokens of the answer.
        unbounded: see `context`.
        step: `pipeline.numerics.sampler.logit_step` of the logits' scale; the confidence of answer tokens needs it.

    Raises:
        ThimbleError: the prompt of a model that answers in text has more tokens than the context.
    """
    prompt = codec.prompt(text)
    tokens = prompt.tokens
    refused = refusal(prompt, context)
    if refused is not None:
        return Expectation(text, max_new, 0, (), REFUSED, refused.text, refused.confidence, refused.reason)
    if len(tokens) > context:
        raise ThimbleError(
            f"the prompt {text!r} takes {len(tokens)} tokens, the model's context has {context}",
            "shorten it, or give the model a longer context",
        )
    engine.reset()
    is_structured = isinstance(prompt, StructuredPrompt)
    steps = [_expected_step(engine, token) for token in tokens[:-1]]
    generated: list[int] = []
    fed, confidence, end, branch = tokens[-1], CERTAIN, "", Branch()
    while not end:
        logits = engine.step(fed).ravel()
        allowed = prompt.allowed(generated)
        following = choose(allowed, logits)
        allowed_crc = None
        if allowed is not None:
            if is_structured:
                branch = branch.or_other(len(generated), confidence, logits, following, step, allowed)
                confidence = joint(confidence, probability(logits, following, step, allowed))
            allowed_crc = zlib.crc32(logits[list(allowed)].tobytes()) if len(allowed) > 1 or not generated else 0
        steps.append(ExpectedStep(fed, zlib.crc32(logits.tobytes()), following, allowed_crc))
        generated.append(following)
        fed = following
        if following in codec.tokenizer.template.stops:
            end = "eos"
        elif len(generated) == max_new:
            end = "length"
        elif len(steps) == context and not unbounded:
            end = "context"
    reply = reply_of(prompt, generated, confidence, end)
    choices: tuple[Choice, ...] = ()
    if end == "eos" and isinstance(prompt, StructuredPrompt) and prompt.asks(confidence):
        engine.reset()

        def feed(ids: Sequence[int]) -> NDArray[np.signedinteger]:
            return [engine.step(token).ravel() for token in ids][-1]

        choices = second_best(feed, prompt, codec, context, generated, confidence, branch, step, max_new)
    return Expectation(
        text,
        max_new,
        len(tokens),
        tuple(steps),
        end,
        reply.text,
        reply.confidence if is_structured else None,
        reply.reason,
        choices,
    )


def reference_full_context(engine: StepEngine, context: int, vocab: int) -> FullContext:
    """What `Device.fill` has to answer.

    Args:
        engine: what computes the logits.
        context: tokens that the model sees.
        vocab: its ids.
    """
    engine.reset()
    step = [_expected_step(engine, token) for token in full_context(context, vocab)][-1]
    return FullContext(step.crc, step.next)


def _expected_step(engine: StepEngine, token: int) -> ExpectedStep:
    logits = engine.step(token).ravel()
    return ExpectedStep(token, zlib.crc32(logits.tobytes()), int(logits.argmax()))


def reference_runs(
    recipe: Recipe, tflite: Path, codec: Codec, texts: Sequence[NDArray[np.signedinteger]] | None = None
) -> list[Expectation]:
    """Reference runs by TensorFlow Lite Micro of the recipe's prompts, or of its task's examples. Where none reaches
    the end of the context, also the beginning of one of the `texts` that does.

    Args:
        texts: token ids of texts for the model to go on with, if it writes any.

    Raises:
        ThimbleError: a prompt does not fit the model's context.
    """
    prompts = recipe.prompts or load_task(recipe).prompts()
    oracle = Oracle(tflite.read_bytes())
    unbounded = oracle.unbounded
    step = logit_step(oracle.logit_scale)
    expectations = [
        reference_run(oracle, codec, oracle.context, text, recipe.model.context, unbounded, step) for text in prompts
    ]
    if (
        texts is not None
        and not unbounded
        and all(len(expectation.steps) < oracle.context for expectation in expectations)
    ):
        expectations.append(reference_run_to_context_end(oracle, codec, oracle.context, texts))
    return expectations


def reference_run_to_context_end(
    engine: StepEngine, codec: Codec, context: int, texts: Sequence[NDArray[np.signedinteger]]
) -> Expectation:
    """Reference run that reaches the end of the context: of the texts' beginnings, a quarter of the context, the first
    whose answer does, else the longest. A beginning fits a line of the protocol."""
    expectations: list[Expectation] = []
    for first, *rest in (text.tolist() for text in texts[:_TEXTS_TRIED]):
        text = codec.tokenizer.decode(rest[: max(1, context // 4)], first).strip("\ufffd")
        while len(quote(text, safe="")) > _MAX_QUOTED:
            text = text[: 3 * len(text) // 4]
        expectations.append(reference_run(engine, codec, context, text, context))
        if len(expectations[-1].steps) == context:
            break
    return max(expectations, key=lambda expectation: len(expectation.steps))


def min_per_mac(core: str) -> float:
    """Minimum instructions per multiply-accumulate on that core (`cortex-m4`)."""
    return MIN_INSTRUCTIONS_PER_MAC_HELIUM if core in HELIUM_CORES else MIN_INSTRUCTIONS_PER_MAC


def verify(
    device: Device,
    expectations: Sequence[Expectation],
    *,
    macs_per_step: int,
    kv_cache_bytes: int = 0,
    instructions_per_tick: float,
    weights_crc: int | None = None,
    build_id: str | None = None,
    min_per_mac: float = MIN_INSTRUCTIONS_PER_MAC,
    repeat_tolerance: float = 0.0,
    line_ticks: float = 0.0,
    longest: FullContext | None = None,
    slow_texts: Sequence[str] = (),
) -> Verification:
    """Verifies every prompt step by step, repeated, since counts must be reproducible, and with the prompt in blocks,
    which must give the same logits.

    Args:
        macs_per_step: multiply-accumulates of a decode step, the measure of what counts are possible.
        kv_cache_bytes: cleared by a request before its first step.
        instructions_per_tick: instructions per tick of the board's counter under its emulator.
        weights_crc, build_id: of the image that was built; what the device says must be the same.
        min_per_mac: minimum instructions per multiply-accumulate on the board's core.
        repeat_tolerance: relative tolerance of a repeated step's count; 0 under an emulator.
        line_ticks: ticks to send a line over a real UART.
        longest: what a full context gives, whose prompt and last step are then the slowest there can be; None: the
            slowest are those of the prompts.
        slow_texts: to read, for the most that reading takes.

    Raises:
        ThimbleError: the device stopped answering, or reported a fault.
    """
    findings = _Findings()
    info = device.info()
    findings.check("image_intact", not info.corrupt, f"the device finds its image corrupt: {', '.join(info.corrupt)}")
    if weights_crc is not None:
        findings.check(
            "image_intact",
            info.weights_crc == weights_crc,
            f"CRC-32 {info.weights_crc:08x} on the device, {weights_crc:08x} when built",
        )
    if build_id is not None:
        findings.check("build_match", info.build == build_id, f"the device runs build {info.build}, not {build_id}")
    is_bound = any(expectation.confidence is not None for expectation in expectations)
    names = ("tokens_match", "logits_crc_match", "prefill_match", "counts_plausible", "counts_repeat")
    for name in (*names, *(("allowed_match",) if is_bound else ())):
        findings.checks[name] = True
    answers = [_ask(device, expectation, findings) for expectation in expectations]
    pairs = list(zip(expectations, answers, strict=True))
    in_blocks = [
        None if answer is None else _ask(device, expectation, findings, device.prompt) for expectation, answer in pairs
    ]
    allowed_only = [
        None if answer is None or expectation.confidence is None else _ask(device, expectation, findings, device.answer)
        for expectation, answer in pairs
    ]
    limits = _CountBounds(
        min_ticks=macs_per_step * min_per_mac / instructions_per_tick,
        step_overhead=(OVERHEAD_PER_VOCAB_ID * info.vocab + OVERHEAD_PER_STEP) / instructions_per_tick + line_ticks,
        answer_overhead=OVERHEAD_PER_ANSWER_ID * info.vocab / instructions_per_tick,
        request_overhead=(OVERHEAD_PER_REQUEST + OVERHEAD_PER_CACHE_BYTE * kv_cache_bytes) / instructions_per_tick
        + 20 * line_ticks,
        repeat_tolerance=repeat_tolerance,
        wrap=SYSTICK_WRAP_OVERHEAD / instructions_per_tick if info.counter == "systick" else 0.0,
    )
    for expectation, third in zip(expectations, allowed_only, strict=True):
        if third is not None:
            _check_allowed(expectation, third, findings)
    for expectation, answer, second in zip(expectations, answers, in_blocks, strict=True):
        if answer is not None:
            _compare(expectation, answer, findings)
        if answer is not None and answer.steps:
            _check_counts(expectation, answer, limits, findings)
            _check_repeats(expectation, answer, _ask(device, expectation, findings), limits, findings)
            if second is not None:
                _check_prefill(expectation, answer, second, limits, findings)
    bounds = _Bounds()
    if longest is not None:
        bounds = _measure_bounds(device, longest, slow_texts, limits, findings)
    return Verification(
        checks=findings.checks,
        failures=tuple(findings.failures),
        prompts=tuple(_prompt(*pair) for pair in zip(expectations, answers, strict=True)),
        instructions=_instructions(answers, in_blocks, allowed_only, bounds, macs_per_step, instructions_per_tick),
        stack_peak=device.stack()[0],
    )


def write_expectations(path: Path, expectations: Sequence[Expectation]) -> None:
    """Writes the expectations of prompts that are answered as JSON, in the protocol's own notation, for Renode's Robot
    suite."""
    prompts = [
        {
            "text": quote(expectation.text, safe=""),
            "max_new": expectation.max_new,
            "tokens_in": expectation.tokens_in,
            "tokens_out": len(expectation.tokens_out),
            "end": expectation.end,
            "steps": [
                {"position": position, "token": step.token, "crc": f"{step.crc:08x}", "next": step.next}
                for position, step in enumerate(expectation.steps)
            ],
        }
        for expectation in expectations
        if expectation.steps
    ]
    write_json(path, {"prompts": prompts})


def _ask(
    device: Device, expectation: Expectation, findings: _Findings, request: Callable[[str, int], Answer] | None = None
) -> Answer | None:
    """An answer to the prompt, step by step unless another request is given; None where the board refuses it."""
    try:
        return (request or device.ask)(expectation.text, expectation.max_new)
    except DeviceError as error:
        if error.code == "fault":
            raise
        findings.check("tokens_match", False, f"{expectation.text!r}: the device answered {error.code}: {error.text}")
        return None


def _compare(expectation: Expectation, answer: Answer, findings: _Findings) -> None:
    where = repr(expectation.text)
    expected = tuple((step.token, step.next) for step in expectation.steps)
    answered = tuple((step.token, step.next) for step in answer.steps)
    findings.check(
        "tokens_match",
        expected == answered and answer.tokens_out == expectation.tokens_out and answer.text == expectation.text_out,
        f"{where}: tokens {list(answer.tokens_out)} ({answer.text!r}), expected {list(expectation.tokens_out)} "
        f"({expectation.text_out!r})",
    )
    findings.check(
        "tokens_match",
        (answer.confidence, answer.reason) == (expectation.confidence, expectation.reason),
        f"{where}: a confidence of {answer.confidence} in 65536 and reason {answer.reason!r}, expected "
        f"{expectation.confidence} and {expectation.reason!r}",
    )
    differing = [
        position
        for position, (step, device_step) in enumerate(zip(expectation.steps, answer.steps, strict=False))
        if step.crc != device_step.crc
    ]
    findings.check(
        "logits_crc_match",
        not differing and len(expectation.steps) == len(answer.steps),
        f"{where}: {len(differing)} of {len(expectation.steps)} steps differ, the first at position {differing[:1]}"
        if differing
        else f"{where}: {len(answer.steps)} steps, expected {len(expectation.steps)}",
    )


def _check_counts(expectation: Expectation, answer: Answer, limits: _CountBounds, findings: _Findings) -> None:
    where = repr(expectation.text)
    ticks = [step.ticks for step in answer.steps]
    findings.check(
        "counts_plausible",
        [step.position for step in answer.steps] == list(range(len(answer.steps))),
        f"{where}: the positions of the steps are not 0, 1, 2 …",
    )
    findings.check(
        "counts_plausible",
        min(ticks) > 0 and min(ticks) + 1 >= limits.min_ticks,
        f"{where}: a step of {min(ticks)} ticks; its multiplications alone take {limits.min_ticks:.0f}",
    )
    overhead = len(ticks) * limits.step_overhead + limits.request_overhead
    if any(step.allowed_crc is not None for step in expectation.steps):
        overhead += len(answer.tokens_out) * limits.answer_overhead
    findings.check(
        "counts_plausible",
        0 <= answer.ticks - sum(ticks) <= overhead,
        f"{where}: the steps took {sum(ticks)} ticks of {answer.ticks} in all, which cannot be",
    )


def _check_repeats(
    expectation: Expectation, first: Answer, second: Answer | None, limits: _CountBounds, findings: _Findings
) -> None:
    if second is None:
        return
    where = repr(expectation.text)
    same = [(step.token, step.crc, step.next) for step in first.steps] == [
        (step.token, step.crc, step.next) for step in second.steps
    ]
    findings.check("logits_crc_match", same, f"{where}: asked again, other logits")
    _check_ticks(where, first.steps, second.steps, limits, findings)


def _check_prefill(
    expectation: Expectation, first: Answer, second: Answer, limits: _CountBounds, findings: _Findings
) -> None:
    """The prompt in blocks: the logits after it and after every later step as step by step, counts the same."""
    where = repr(expectation.text)
    generated = first.steps[expectation.tokens_in - 1 :]
    prefill = second.prefill
    findings.check(
        "prefill_match",
        prefill is not None
        and [
            (prefill.count, prefill.crc, prefill.next),
            *((step.position, step.crc, step.next) for step in second.steps),
        ]
        == [
            (step.position + (1 if index == 0 else 0), step.crc, step.next)  # a count, then positions
            for index, step in enumerate(generated)
        ],
        f"{where}: with the prompt in blocks, other logits than step by step",
    )
    findings.check(
        "counts_plausible",
        # A tick more, for a prompt of one token: it may begin at another moment within a tick.
        prefill is None or 0 < prefill.ticks <= sum(step.ticks for step in first.steps[: expectation.tokens_in]) + 1,
        f"{where}: the prompt in blocks took more ticks than step by step",
    )
    _check_ticks(where, generated[1:], second.steps, limits, findings)


def _check_allowed(expectation: Expectation, answer: Answer, findings: _Findings) -> None:
    """Only what is allowed computed: the same tokens, and of every step the logits that may follow."""
    where = repr(expectation.text)
    findings.check(
        "allowed_match",
        (answer.tokens_out, answer.text, answer.confidence, answer.reason, answer.end)
        == (expectation.tokens_out, expectation.text_out, expectation.confidence, expectation.reason, expectation.end),
        f"{where}: with allowed logits alone the answer is {answer.text!r} ({list(answer.tokens_out)}, {answer.end}, "
        f"{answer.confidence} in 65536, {answer.reason!r}), expected {expectation.text_out!r}",
    )
    findings.check(
        "allowed_match",
        answer.choices == tuple((choice.text, choice.confidence) for choice in expectation.choices),
        f"{where}: the two best answers are {answer.choices}, expected {expectation.choices}",
    )
    first = max(expectation.tokens_in - 1, 0)
    expected = [(position, step.allowed_crc, step.next) for position, step in enumerate(expectation.steps)][first:]
    told = [(step.position, step.crc, step.next) for step in answer.steps]
    if answer.prefill is not None:
        told = [(answer.prefill.count - 1, answer.prefill.crc, answer.prefill.next), *told]
    differing = [position for position, *_ in set(expected) ^ set(told)]
    findings.check(
        "allowed_match",
        expected == told,
        f"{where}: of the logits that may follow others than expected, the first at position "
        f"{min(differing, default=0)}",
    )


def _check_ticks(
    where: str, first: Sequence[Step], second: Sequence[Step], limits: _CountBounds, findings: _Findings
) -> None:
    pairs = [(a.ticks, b.ticks) for a, b in zip(first, second, strict=False)]
    worst = max((abs(a - b) for a, b in pairs), default=0)
    findings.check(
        "counts_repeat",
        all(limits.repeats(a, b) for a, b in pairs),
        f"{where}: asked again, a step's count differs by {worst} ticks",
    )


@dataclass(frozen=True)
class _Bounds:
    """Ticks of a prompt that fills the context, of the step at its last position, and of the slowest text to read."""

    prefill: int = 0
    step: int = 0
    read: int = 0


def _measure_bounds(
    device: Device, longest: FullContext, texts: Sequence[str], limits: _CountBounds, findings: _Findings
) -> _Bounds:
    """What is slowest: the logits of a full context are checked as those of the prompts are."""
    (prefill, step), (again, _) = device.fill(), device.fill()
    where = "a full context"
    for name, told in (("prefill_match", prefill), ("logits_crc_match", step)):
        findings.check(
            name,
            (told.crc, told.next) == (longest.crc, longest.next),
            f"{where}: other logits than expected",
        )
    findings.check(
        "counts_repeat",
        limits.repeats(prefill.ticks, again.ticks),
        f"{where}: asked again, the prompt's count differs by {abs(prefill.ticks - again.ticks)} ticks",
    )
    read = max((device.read(text.encode())[1] for text in texts), default=0)
    return _Bounds(prefill.ticks, step.ticks, read)


def _prompt(expectation: Expectation, answer: Answer | None) -> PromptResult:
    return PromptResult(
        text=expectation.text,
        tokens_in=tuple(answer.tokens_in) if answer else (),
        tokens_out=tuple(answer.tokens_out) if answer else (),
        text_out=answer.text if answer else "",
        expected_tokens=expectation.tokens_out,
        expected_text=expectation.text_out,
        end=answer.end if answer else "",
        ticks=tuple(step.ticks for step in answer.steps) if answer else (),
        logits_crc=tuple(f"{step.crc:08x}" for step in answer.steps) if answer else (),
    )


def _instructions(
    answers: Sequence[Answer | None],
    repeats: Sequence[Answer | None],
    allowed_only: Sequence[Answer | None],
    bounds: _Bounds,
    macs: int,
    per_tick: float,
) -> InstructionCounts:
    complete = [answer for answer in answers if answer is not None]
    fed = [step.ticks * per_tick for answer in complete for step in answer.steps[: len(answer.tokens_in)]]
    decode = [step.ticks * per_tick for answer in complete for step in answer.steps[len(answer.tokens_in) :]] or fed
    prefills = [answer.prefill for answer in repeats if answer is not None and answer.prefill is not None]
    prefill = (
        sum(prefill_result.ticks for prefill_result in prefills)
        * per_tick
        / max(sum(prefill_result.count for prefill_result in prefills), 1)
    )
    longest_seen = max((prefill_result.ticks for prefill_result in prefills), default=0)
    decode_mean = sum(decode) / max(len(decode), 1)
    whole = [answer for answer in allowed_only if answer is not None and answer.tokens_out]
    return InstructionCounts(
        prefill_per_token=round(prefill, 1),
        prompt_max=(max(bounds.prefill, longest_seen) + bounds.read) * per_tick,
        prompt_seen=longest_seen * per_tick,
        read_max=bounds.read * per_tick,
        decode_mean=round(decode_mean, 1),
        decode_max=max(fed + decode + [bounds.step * per_tick]),
        decode_seen=max(fed + decode, default=0.0),
        per_mac=round(decode_mean / max(macs, 1), 3),
        steps=len(fed) + (0 if decode is fed else len(decode)),
        answer_mean=round(sum(answer.model_ticks for answer in whole) * per_tick / max(len(whole), 1), 1),
        answer_own_mean=round(
            sum(step.ticks for answer in whole for step in answer.steps) * per_tick / max(len(whole), 1), 1
        ),
    )
