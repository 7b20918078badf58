"""Coordinator and agents in a simulated world, whatever happens: never two live generations, and in the end all run."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from simulation import TURN_SECONDS, World

HEALING_SECONDS = 120.0
HEALTHY_SECONDS = 15.0
"""Longer than every time-out."""

happenings = st.tuples(
    st.integers(0, 60),
    st.sampled_from(["kill", "replace", "evict", "fail", "cut", "abandon", "heal"]),
    st.integers(0, 3),
)


def happen(world: World, what: str, node: int) -> None:
    """Let something happen to a node."""
    if what == "heal":
        world.heal()
    else:
        getattr(world, what)(node % world.num_nodes)


def turn(world: World) -> None:
    """Let a turn pass, and look."""
    world.step()
    assert len(world.live_generations()) <= 1, f"at {world.now:.1f} s: {world.live_generations()}"


@settings(max_examples=250, deadline=None)
@given(st.integers(1, 4), st.integers(0, 2**32), st.booleans(), st.lists(happenings, max_size=25))
def test_never_two_generations_and_in_the_end_all_run(
    num_nodes: int, seed: int, remembers: bool, events: list[tuple[int, str, int]]
) -> None:
    world = World(num_nodes, seed, remembers)
    for turns, what, node in events:
        for _ in range(turns):
            turn(world)
        happen(world, what, node)
    world.heal()
    healthy_turns = 0
    for _ in range(int(HEALING_SECONDS / TURN_SECONDS)):
        for rank in range(num_nodes):
            world.replace(rank)
        turn(world)
        healthy_turns = healthy_turns + 1 if world.all_run() else 0
        if healthy_turns * TURN_SECONDS > HEALTHY_SECONDS:
            return
    raise AssertionError(f"not all ranks run {HEALING_SECONDS} s after all was healed")


def test_generations_run_on_while_nothing_happens() -> None:
    world = World(4, 1, remembers=True)
    for _ in range(1000):
        turn(world)
    assert world.all_run()
    assert world.highest == 1
