"""The memory plan by its properties: buffers that live together never overlap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.compiler.passes.memory_plan import Buffer, plan_memory
from tests.support.strategies import some

buffers = st.lists(
    st.builds(
        lambda size, spans: (size, tuple((first, first + length) for first, length in spans)),
        st.integers(1, 300),
        st.lists(st.tuples(st.integers(0, 20), st.integers(0, 8)), min_size=1, max_size=3),
    ),
    max_size=25,
)


@given(buffers)
@some
def test_buffers_that_live_together_do_not_overlap(drawn: list[tuple[int, tuple[tuple[int, int], ...]]]) -> None:
    all_buffers = [Buffer(f"b{index}", *buffer) for index, buffer in enumerate(drawn)]
    plan = plan_memory(all_buffers)
    for index, buffer in enumerate(all_buffers):
        start = plan.offsets[buffer.name]
        assert start >= 0 and start % 4 == 0 and start + buffer.size <= plan.bytes
        for neighbour in all_buffers[:index]:
            together = any(buffer.alive(step) and neighbour.alive(step) for step in range(30))
            apart = (
                start + buffer.size <= plan.offsets[neighbour.name]
                or plan.offsets[neighbour.name] + neighbour.size <= start
            )
            assert apart or not together
    live = [sum(b.size for b in all_buffers if b.alive(step)) for step in range(30)]
    assert plan.largest_live_set == max(live, default=0) <= plan.bytes


@given(buffers)
@some
def test_the_plan_does_not_depend_on_the_order_of_the_buffers(
    drawn: list[tuple[int, tuple[tuple[int, int], ...]]],
) -> None:
    all_buffers = [Buffer(f"b{index}", *lifetime) for index, lifetime in enumerate(drawn)]
    assert plan_memory(all_buffers) == plan_memory(all_buffers[::-1])
