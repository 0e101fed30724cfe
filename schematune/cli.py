"""The command line: `schematune synth | tune | call | compare | demo | doctor`.

Figures and answers go to standard output, progress and notes to standard error. A mistake gets one line
that says what, where and the way out, and exit status 2; an interrupted run exits with 130.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence

from schematune.schemas.errors import SchematuneError
from schematune.schemas.pair import Pairs, read_examples
from schematune.schemas.stream import PairStream
from schematune.schemas.teacher import Teacher
from schematune.schemas.tool import ToolSet

__all__ = ["main"]


def _note(text: str) -> None:
    print(text, file=sys.stderr)


def _synth(options: argparse.Namespace) -> None:
    tools = ToolSet(options.tools)
    avoid = Pairs.load(options.avoid) if options.avoid else ()
    teacher = None
    if options.teacher:
        teacher = Teacher(
            options.teacher,
            base_url=options.teacher_url,
            cache=options.teacher_cache or f"{options.out}.teacher",
            max_tokens=options.teacher_tokens,
        )
    stream = PairStream(
        tools,
        options.pairs,
        examples=options.examples,
        seed=options.seed,
        avoid=avoid,
        teacher=teacher,
        scrub=options.scrub,
        locale=options.locale,
        workers=options.workers,
        progress=True,
    )
    card = stream.save(options.out, licence=options.licence)
    _note(f"{card['rows']} pairs in {options.out}; rejected on the way: {card['rejected']}")
    if options.scrub:
        _note(f"personal data replaced in the examples: {card['replaced']}; rules find it, so read what matters")
    if teacher is not None:
        _note(f"teacher: {teacher.spent}")


def _tune(options: argparse.Namespace) -> None:
    from schematune.trainer.tune import tune

    tools = ToolSet(options.tools)
    pairs = Pairs.load(options.pairs)
    adapter = tune(
        tools,
        pairs,
        base=options.base,
        out=options.out,
        epochs=options.epochs,
        rank=options.rank,
        learning_rate=options.learning_rate,
        batch_size=options.batch_size,
        seed=options.seed,
        full=options.full,
    )
    _note(f"adapter in {adapter.path}; call it with: schematune call {adapter.path} 'your request'")


def _call(options: argparse.Namespace) -> None:
    from schematune.decoding.caller import Caller

    tools = ToolSet(options.tools) if options.tools else None
    caller = Caller(options.adapter, tools=tools, base=options.base, constrained=not options.free)
    context = {"now": options.now} if options.now else None
    if options.request != "-":
        print(json.dumps(_answer(caller(options.request, context=context)), ensure_ascii=False))
        return
    requests = [line.rstrip("\n") for line in sys.stdin if line.strip()]
    for answer in caller.batch(requests, contexts=[context] * len(requests) if context else None):
        print(json.dumps(_answer(answer), ensure_ascii=False), flush=True)


def _answer(answer: object) -> dict[str, object]:
    from schematune.schemas.call import Answer

    assert isinstance(answer, Answer)
    row: dict[str, object] = {
        "status": answer.status,
        "calls": [{"name": call.name, "arguments": dict(call.arguments)} for call in answer.calls],
    }
    if answer.status == "ask":
        row |= {"tool": answer.tool, "missing": list(answer.missing)}
    if answer.error is not None:
        row["error"] = str(answer.error)
    return row | {"latency_ms": round(answer.usage.latency_ms, 1), "prompt_tokens": answer.usage.prompt_tokens}


def _compare(options: argparse.Namespace) -> None:
    from schematune.benchmarks.compare import compare
    from schematune.benchmarks.report import summary
    from schematune.decoding.caller import Caller

    caller = Caller(options.adapter, base=options.base)
    examples = read_examples(options.examples, caller.tools) if options.examples else ()
    arms = options.arms.split(",") if options.arms else None
    report = compare(caller, Pairs.load(options.cases), arms=arms, examples=examples, out=options.out)
    _note(f"{summary(report)}\nreport: {options.out}")
    print(json.dumps(report.json(), ensure_ascii=False))


def _demo(options: argparse.Namespace) -> None:
    from schematune.benchmarks.demo import run_demo

    run_demo(options.out)


def _doctor(options: argparse.Namespace) -> None:
    from schematune.doctor import examine

    sys.exit(0 if examine(options.base) else 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="schematune", description="Teach a small model your schemas, then take them out of the prompt."
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        return added

    synth = verb("synth", _synth, "Make checked training pairs from tools and your own examples.")
    synth.add_argument("--tools", required=True, help="JSON file: OpenAI or MCP tools, or a JSON Schema")
    synth.add_argument("--out", required=True, help="where the pairs go (JSON Lines, or FILE.parquet)")
    synth.add_argument("--pairs", type=int, default=2000, help="how many (2000)")
    synth.add_argument("--examples", help="your own examples (JSON Lines, case format)")
    synth.add_argument(
        "--teacher", metavar="MODEL", help="a model that puts requests anew, at an OpenAI-compatible URL"
    )
    synth.add_argument("--teacher-url", metavar="URL", help="where it is (OPENAI_BASE_URL; the key: OPENAI_API_KEY)")
    synth.add_argument("--teacher-tokens", type=int, metavar="N", help="tokens it may cost, both ways")
    synth.add_argument("--teacher-cache", metavar="FILE", help="where its answers are kept (OUT.teacher)")
    synth.add_argument("--avoid", help="a test set whose requests may not come out")
    synth.add_argument("--scrub", action="store_true", help="replace personal data in the examples by stand-ins first")
    synth.add_argument(
        "--locale", nargs="+", default=(), metavar="NAME", help="whose names and places, like de_DE (a mix)"
    )
    synth.add_argument("--licence", default="", metavar="TEXT", help="licence of your examples, for the data card")
    synth.add_argument("--workers", type=int, default=1, metavar="N", help="processes; the pairs are the same (1)")
    synth.add_argument("--seed", type=int, default=0)

    tune = verb("tune", _tune, "Tune a LoRA adapter on pairs.")
    tune.add_argument("--tools", required=True)
    tune.add_argument("--pairs", required=True, help="pairs from `schematune synth`, or your own examples")
    tune.add_argument("--out", required=True, help="folder of the adapter")
    tune.add_argument("--base", default="builtin", help="builtin, builtin-large, a local folder, or a hub name")
    tune.add_argument("--epochs", type=float)
    tune.add_argument("--rank", type=int)
    tune.add_argument("--learning-rate", type=float)
    tune.add_argument("--batch-size", type=int)
    tune.add_argument("--seed", type=int, default=0)
    tune.add_argument("--full", action="store_true", help="tune every weight instead of an adapter")

    call = verb("call", _call, "Turn a request into calls.")
    call.add_argument("adapter", nargs="?", help="folder of an adapter; without one, --tools go into the prompt")
    call.add_argument("request", help="the request, or - to read one a line from standard input")
    call.add_argument("--now", help="the time it is asked at, ISO 8601")
    call.add_argument("--tools", help="tools, where there is no adapter, or to check the adapter against")
    call.add_argument("--base", help="the base, where it is not the one that the adapter names")
    call.add_argument("--free", action="store_true", help="decode without the grammar")

    compare = verb("compare", _compare, "Compare an adapter with long prompts on cases, and write a report.")
    compare.add_argument("adapter", help="folder of the adapter")
    compare.add_argument("--cases", required=True, help="the test set (JSON Lines, case format)")
    compare.add_argument("--examples", help="examples to show as shots in the long+shots arms")
    compare.add_argument("--arms", help="comma-separated: long,long+grammar,long+shots,tuned,tuned+grammar")
    compare.add_argument("--base", help="the base, where it is not the one that the adapter names")
    compare.add_argument("--out", default="report.html", help="where the report goes (report.html)")

    demo = verb("demo", _demo, "Run the whole idea on a built-in tool set: pairs, tuning, calls, report.")
    demo.add_argument("--out", default="demo-out")

    doctor = verb("doctor", _doctor, "Say what of the environment works, and how to mend what does not.")
    doctor.add_argument("--base", default="builtin")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one verb; `arguments` default to the process's."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except SchematuneError as error:
        _note(f"schematune: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        _note("\nschematune: interrupted; what was finished before is whole")
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        _note(
            f"schematune: {error.filename or 'the system'}: {error.strerror}; check the path, its rights and the disk"
        )
        sys.exit(2)
