"""commands.py: what a line with placeholders makes of values, and which lines are no command."""

import subprocess

import pytest

from archive.errors import Misconfigured
from archive.lifecycle.events.commands import of_peer, parse

VALUES = {"#p": "/data/in box", "#f": "CT.1.2", "#a": "SCANNER", "#c": "STORESCP", "#r": "ct1.example.org"}


def arguments(line: str, **values: str) -> tuple[str, ...]:
    return parse(line, uses_shell=False).arguments(VALUES | {f"#{name}": value for name, value in values.items()})


def shell_line(line: str, **values: str) -> str:
    shell, option, filled = parse(line, uses_shell=True).arguments(
        VALUES | {f"#{name}": value for name, value in values.items()}
    )
    assert (shell, option) == ("/bin/sh", "-c")
    return filled


@pytest.mark.parametrize(
    "line, expected",
    [
        pytest.param("do_something #p", ("do_something", "/data/in box"), id="as on DCMTK's page"),
        pytest.param("x #p/#f", ("x", "/data/in box/CT.1.2"), id="in a path"),
        pytest.param('x "#p/#f"', ("x", "/data/in box/CT.1.2"), id="between double quotes"),
        pytest.param("x '#p'/#f", ("x", "/data/in box/CT.1.2"), id="between single quotes"),
        pytest.param("x #a #c #r", ("x", "SCANNER", "STORESCP", "ct1.example.org"), id="who sends"),
        pytest.param('x "#a"', ("x", "SCANNER"), id="a title between quotes"),
        pytest.param("x #f#f #f", ("x", "CT.1.2CT.1.2", "CT.1.2"), id="every occurrence"),
        pytest.param("x --aet=#a -o#f", ("x", "--aet=SCANNER", "-oCT.1.2"), id="behind an option"),
        pytest.param("x ##p #x #P", ("x", "#/data/in box", "#x", "#P"), id="what is no placeholder"),
        pytest.param("  x\t'a  b'  \"\" ", ("x", "a  b", ""), id="spaces and nothing"),
        pytest.param(r"x a\ b \* \$HOME", ("x", "a b", "*", "$HOME"), id="backslashes"),
        pytest.param(r'''x "a\"b\\c\$d\e"''', ("x", r'a"b\c$d\e'), id="backslashes between quotes"),
        pytest.param("x ';|&' '$(id)' '`'", ("x", ";|&", "$(id)", "`"), id="signs of a shell, quoted"),
        pytest.param("x a=b c~ {} !", ("x", "a=b", "c~", "{}", "!"), id="what no shell changes there"),
        pytest.param("x one \\\n two", ("x", "one", "two"), id="a line that goes on"),
        pytest.param("#p/run now", ("/data/in box/run", "now"), id="a program below the folder"),
    ],
)
def test_a_line_is_split_as_a_shell_would_and_values_never_are(line: str, expected: tuple[str, ...]) -> None:
    assert arguments(line) == expected


@pytest.mark.parametrize(
    "value", ["a b", "'", '"', "$(id)", "`id`", ";id", "|id", "&", ">x", "*", "\\", "\n", "-rf", "", "#f", "#p#a#c#r"]
)
def test_a_value_is_part_of_one_argument_whatever_is_in_it(value: str) -> None:
    assert arguments("x y#az", a=value) == ("x", f"y{value}z")
    assert arguments("x '#a' \"#a\"", a=value) == ("x", value, value)


def test_without_a_value_a_placeholder_stays() -> None:
    assert parse("x #p/#f #a", uses_shell=False).arguments({"#a": "A"}) == ("x", "#p/#f", "A")
    assert parse("x #p/#f #a", uses_shell=True).arguments({"#a": "A"})[-1] == "x #p/#f A"


@pytest.mark.parametrize(
    "line, expected",
    [
        pytest.param("x #p/#f", "x '/data/in box'/CT.1.2", id="bare"),
        pytest.param('x "#p/#f" > log', 'x "/data/in box/CT.1.2" > log', id="between double quotes"),
        pytest.param("x '#p' && y #a", "x '/data/in box' && y SCANNER", id="between single quotes"),
        pytest.param(r"x \#p", r"x \#p", id="behind a backslash"),
        pytest.param("cd #p; for f in *; do y; done", "cd '/data/in box'; for f in *; do y; done", id="a loop"),
    ],
)
def test_for_a_shell_the_line_stays_and_values_are_quoted(line: str, expected: str) -> None:
    assert shell_line(line) == expected


@pytest.mark.parametrize(
    "line, quoted",
    [
        ("x #a", "x '$(id)`'\"'\"'\"\\'"),
        ('x "#a"', 'x "\\$(id)\\`\'\\"\\\\"'),
        ("x '#a'", "x '$(id)`'\\''\"\\'"),
    ],
    ids=["bare", "double", "single"],
)
def test_signs_of_a_shell_mean_nothing_in_a_value(line: str, quoted: str) -> None:
    assert shell_line(line, a="$(id)`'\"\\") == quoted


@pytest.mark.parametrize(
    "line, sign",
    [
        ("x #f | y", "|"),
        ("x #f >> log", ">"),
        ("x #f &", "&"),
        ("x; y", ";"),
        ("x $HOME", "$"),
        ('x "$HOME"', "$"),
        ('x "`id`"', "`"),
        (r'x "\\$y"', "$"),
        ("x *.dcm", "*"),
        ("x ~/y", "~"),
        ("~/y #p", "~"),
        ("A=1 x", "A="),
        ("x\ny", "a second line"),
    ],
)
def test_what_only_a_shell_understands_needs_one(line: str, sign: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        parse(line, uses_shell=False)

    assert str(refused.value) == f"{sign} means something to a shell only; put it in quotes, or add --exec-shell"
    assert parse(line, uses_shell=True).arguments(VALUES)[0] == "/bin/sh"


@pytest.mark.parametrize("uses_shell", [False, True])
@pytest.mark.parametrize("line", ["x 'y", 'x "y', "x y\\"])
def test_an_open_quote_is_a_mistake(line: str, uses_shell: bool) -> None:
    with pytest.raises(Misconfigured, match="a quote is open"):
        parse(line, uses_shell=uses_shell)


@pytest.mark.parametrize("line", ["", "  "])
def test_an_empty_line_is_a_mistake(line: str) -> None:
    with pytest.raises(Misconfigured, match="it is empty"):
        parse(line, uses_shell=False)


@pytest.mark.parametrize(
    "line, said",
    [
        ('x "$(y #a)"', "#a stands behind $( between double quotes"),
        ('x "$(y "#a")"', "#a stands behind $( between double quotes"),
        ("x \"$(y '#a')\"", "#a stands behind $( between double quotes"),
        ('x "`y #f`"', "#f stands behind ` between double quotes"),
        (r'x "\\$(y)" #p', "#p stands behind $( between double quotes"),
        ("cat <<E\n#r\nE", "#r stands behind <<"),
    ],
)
def test_where_only_a_shell_knows_the_quotes_no_value_stands(line: str, said: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        parse(line, uses_shell=True)

    name = said[1]
    assert str(refused.value) == (
        f'{said}, where it cannot be quoted safely; put it into a variable first: {name}=#{name}; ... "${name}"'
    )


@pytest.mark.parametrize(
    "line",
    [
        'a=#a; printf "%s|" "$(printf %s "$a")"',
        'a=#a; printf "%s|" "`printf %s "$a"`"',
        'a=#a; printf "%s|" "$(cat <<E\n$a\nE\n)"',
        'printf "%s|" "#a$(true)"',
        'printf "%s|" $(true "#a") "#a"',
        r'printf "%s|" "#a" | sed "s/\$(x)\`//"',
    ],
)
@pytest.mark.parametrize("value", ["A -o x", "$(id)", "`'\"", "a  b *"])
def test_elsewhere_it_is_one_word_to_a_real_shell(line: str, value: str) -> None:
    command = parse(line, uses_shell=True).arguments({"#a": value})

    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"{value}|"


@pytest.mark.parametrize("line", ['x "$(y)"', 'x "`y`"', "x <<E\nE"])
def test_without_values_a_shell_is_left_alone(line: str) -> None:
    assert shell_line(line) == line


@pytest.mark.parametrize("uses_shell", [False, True])
@pytest.mark.parametrize("line", ["x\0", "x 'a\0b'", "\0x #f"])
def test_no_argument_holds_a_nul(line: str, uses_shell: bool) -> None:
    with pytest.raises(Misconfigured, match="it holds a NUL"):
        parse(line, uses_shell=uses_shell)


@pytest.mark.parametrize("line", ["#a", "/bin/#c x", "'#p/#f' x", "#r"])
def test_who_sends_chooses_no_program(line: str) -> None:
    with pytest.raises(Misconfigured, match="who sends would choose the program"):
        parse(line, uses_shell=False)


@pytest.mark.parametrize(
    "text, given",
    [
        ("SCANNER 1", "SCANNER 1"),
        ("ct-1.example.org:@_", "ct-1.example.org:@_"),
        ("$(touch x)", "__touch x_"),
        ("a'b\"c`d\\e", "a_b_c_d_e"),
        ("-rf", "_rf"),
        ("--option=x", "_-option_x"),
        ("../../etc", ".._.._etc"),
        ("a\0b\nc\u00fc\ufffd", "a_b_c__"),
        ("", ""),
    ],
)
def test_what_a_peer_calls_itself_has_no_other_characters_than_in_storescp(text: str, given: str) -> None:
    """As sanitizeAETitle() of DCMTK 3.6.8, but for a `-` at the beginning."""
    assert of_peer(text) == given
