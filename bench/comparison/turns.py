"""Tools that do the same work by turns, and the table of what they took."""

import dataclasses
import statistics
import time


@dataclasses.dataclass
class Turn:
    seconds: list
    cpu_seconds: float | None  # where it cannot be told apart from other work
    answer: object


@dataclasses.dataclass
class Tool:
    """`turn(round)` does the work once and gives a Turn."""

    name: str
    turn: object
    most_rounds: int = 1 << 30  # for one that takes minutes


def timed(call):
    """A Turn of one call in this process."""
    start, cpu = time.perf_counter(), time.process_time()
    answer = call()
    return Turn([time.perf_counter() - start], time.process_time() - cpu, answer)


def take_turns(tools, rounds, check):
    """{name: [Turn]}. `check(tool, answer)` sees every answer before any time is used, and ends the program when it
    is wrong; what it returns takes the answer's place."""
    turns = {tool.name: [] for tool in tools}
    for i in range(rounds):
        for tool in tools:
            if i < tool.most_rounds:
                turn = tool.turn(i)
                turn.answer = check(tool, turn.answer)
                turns[tool.name].append(turn)
    return turns


def print_table(title, turns, answer_title, answer_text, reference="phase0"):
    """`answer_text` makes a cell of the answers of one tool."""
    seconds = {name: [s for turn in tool for s in turn.seconds] for name, tool in turns.items()}
    base = seconds[reference]
    ratios = f"median / {reference} | least / {reference}"
    print(f"\n| {title} | times | median s | least s | CPU s | {ratios} | {answer_title} |")
    print("|---|---|---|---|---|---|---|---|")
    for name, tool in turns.items():
        median, least = statistics.median(seconds[name]), min(seconds[name])
        known = [turn.cpu_seconds for turn in tool if turn.cpu_seconds is not None]
        cpu = f"{statistics.median(known):.3g}" if known else ""
        print(
            f"| {name} | {len(seconds[name])} | {median:.3g} | {least:.3g} | {cpu} | "
            f"{median / statistics.median(base):.1f} | {least / min(base):.1f} | "
            f"{answer_text([turn.answer for turn in tool])} |",
            flush=True,
        )
