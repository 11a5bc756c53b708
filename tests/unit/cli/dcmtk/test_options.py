"""options.py: DCMTK's grammar of options, its messages, its help."""

from pathlib import Path

import pytest

from archive.cli.dcmtk.options import CommandLine, Group, Option, Parameter, Program, expanded
from archive.errors import Misconfigured

PROGRAM = Program(
    "tool",
    "a tool",
    "1.2.3",
    (
        Parameter("port", "port to listen on\n(1 to 9)", low=1, high=9),
        Parameter("file", is_optional=True, is_repeatable=True),
    ),
    (
        Group(
            "general options:",
            (
                Option("--help", "-h", "print this help text and exit", is_exclusive=True),
                Option("--quiet", "-q", "quiet"),
            ),
            columns=(6, 10),
        ),
        Group("other options:"),
        Group(
            "of some kind:",
            (
                Option("--little", "+x", "little"),
                Option("--little-more", "+xf", "more"),
                Option("--level", "-l", "level l\nof it", values=1, value_help="[l]evel: integer"),
                Option("--pair", "-p", "two", values=2, value_help="[a] [b]: string"),
            ),
            is_part=True,
        ),
    ),
)


def parse(*arguments: str) -> CommandLine:
    return PROGRAM.parse(("1", *arguments))


def test_options_are_taken_by_their_long_names_in_order() -> None:
    given = PROGRAM.parse(["-p", "a", "b", "7", "+xf", "--quiet", "x.dcm"])

    assert given.options == (("--pair", ("a", "b")), ("--little-more", ()), ("--quiet", ()))
    assert given.parameters == ("7", "x.dcm")
    assert given.arguments == ("--pair", "a", "b", "7", "--little-more", "--quiet", "x.dcm")


def test_the_right_most_option_counts() -> None:
    given = parse("+x", "-l", "1", "+xf", "+x", "-l", "2")

    assert given.last("--little", "--little-more") == "--little"
    assert given.value("--level") == "2"
    assert given.has("--little-more")
    assert not given.has("--quiet")
    assert given.last("--quiet") is None
    assert given.values("--pair") == ()


@pytest.mark.parametrize("word", ["-x", "--hel", "--help=1", "-qq", "--", "+", "-", "-l1", "+X", "—quiet"])
def test_only_whole_names_are_options(word: str) -> None:
    if len(word) > 1 and word[0] in "-+":
        with pytest.raises(Misconfigured, match="Unknown option " + word.replace("+", r"\+")):
            parse(word)
    else:
        assert parse(word).parameters == ("1", word)


@pytest.mark.parametrize("word", ["-1", "+1", "-", "+", "", "1-", "@"])
def test_what_looks_like_a_number_is_no_option(word: str) -> None:
    assert parse(word).parameters == ("1", word)


def test_values_are_taken_as_they_come() -> None:
    assert parse("-p", "-q", "--help").values("--pair") == ("-q", "--help")
    assert parse("-p", "", "+x").values("--pair") == ("", "+x")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["-l"], "Missing value for option --level"),
        (["1", "-p", "a"], "Missing value for option --pair"),
        ([], "Missing parameter port"),
        (["-q"], "Missing parameter port"),
        (["x"], "Invalid parameter value x"),
        (["0"], "Invalid parameter value 0 (underflow)"),
        (["10"], "Invalid parameter value 10 (overflow)"),
        (["-1"], "Invalid parameter value -1 (overflow)"),
        (["9" * 10_000], f"Invalid parameter value {'9' * 10_000} (overflow)"),
        (["@/does/not/exist"], "Cannot open command file '/does/not/exist'"),
        (["@/"], "Cannot open command file '/'"),
        (["--help", "--foo"], "Unknown option --foo"),
    ],
)
def test_mistakes_are_said_in_dcmtks_words(arguments: list[str], message: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        PROGRAM.parse(arguments)

    assert str(caught.value) == message


def test_too_many_parameters_are_refused() -> None:
    program = Program("tool", "", "", (Parameter("one"),), ())

    with pytest.raises(Misconfigured, match="Too many parameters"):
        program.parse(["a", "b"])


def test_with_an_exclusive_option_no_parameter_is_missing() -> None:
    assert PROGRAM.parse(["--help"]).has("--help")


@pytest.mark.parametrize(
    "text, number", [("30", 30), ("+5", 5), (" 7", 7), ("010", 8), ("0x1F", 31), ("-3", -3), ("0", 0)]
)
def test_signed_numbers_are_read_as_c_does(text: str, number: int) -> None:
    assert parse("-l", text).signed("--level", -10) == number


@pytest.mark.parametrize("text, number", [("30", 30), ("+5", 5), (" 7", 7), ("010", 10)])
def test_unsigned_numbers_are_read_as_c_does(text: str, number: int) -> None:
    assert parse("-l", text).unsigned("--level", 0) == number


@pytest.mark.parametrize(
    "text, message",
    [
        ("x", "Invalid value for option --level (x)"),
        ("10m", "Invalid value for option --level (10m)"),
        ("", "Invalid value for option --level"),
        ("0", "Invalid value for option --level (underflow: 0)"),
        ("10", "Invalid value for option --level (overflow: 10)"),
        ("1" * 5000, f"Invalid value for option --level (overflow: {'1' * 5000})"),
        ("-5", "Invalid value for option --level (underflow: -5)"),
    ],
)
def test_numbers_out_of_range_are_refused(text: str, message: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        parse("-l", text).signed("--level", 1, 9)

    assert str(caught.value) == message


def test_an_unsigned_number_has_no_minus() -> None:
    with pytest.raises(Misconfigured, match=r"Invalid value for option --level \(-5\)"):
        parse("-l", "-5").unsigned("--level", 1, 9)


def test_only_the_value_that_counts_is_looked_at() -> None:
    assert parse("-l", "x", "-l", "5").signed("--level", 1) == 5
    assert parse().signed("--level", 1) is None
    assert parse("-p", "0", "4").all_unsigned("--pair", 0) == (0, 4)


def test_options_that_cannot_be_together_are_named() -> None:
    with pytest.raises(Misconfigured, match=r"^--a not allowed with --b$"):
        parse().refuse_together("--a", "--b", True)
    with pytest.raises(Misconfigured, match=r"^--a only allowed with --b$"):
        parse().require("--a", "--b", False)
    parse().refuse_together("--a", "--b", False)
    parse().require("--a", "--b", True)


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", []),
        (b"-q  +x\t-l\r\n5", ["-q", "+x", "-l", "5"]),
        (b"-p \"a b\" ''", ["-p", "a b", ""]),
        (b"\"it's\" '\"'", ["it's", '"']),
        (b'a"b c"d', ["ab c", "d"]),
        (b"'open to the end ", ["open to the end "]),
        (b"# no @comment", ["#", "no", "@comment"]),
        (b"\xff", ["\udcff"]),
    ],
)
def test_a_command_file_stands_for_its_words(content: bytes, words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "arguments"
    file.write_bytes(content)

    assert expanded(f"@{file}") == words


def test_a_value_may_come_from_a_command_file(tmp_path: Path) -> None:
    file = tmp_path / "arguments"
    file.write_bytes(b"5 -q")

    assert parse("-l", f"@{file}").arguments == ("1", "--level", "5", "--quiet")


def test_help_is_laid_out_as_dcmtk_does() -> None:
    assert PROGRAM.help == (
        """$archive: tool v1.2.3 $

tool: a tool
usage: tool [options] port [file...]

parameters:
  port                            port to listen on
                                  (1 to 9)

general options:
  -h      --help      print this help text and exit
  -q      --quiet     quiet
other options:
  of some kind:
    +x    --little                little
    +xf   --little-more           more
    -l    --level                 [l]evel: integer
                                  level l
                                  of it
    -p    --pair                  [a] [b]: string
                                  two

"""
    )
