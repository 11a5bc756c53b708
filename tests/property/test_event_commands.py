"""A value reaches a command as it is, by a shell as without one, wherever its placeholder stands."""

import subprocess

from hypothesis import example, given
from hypothesis import strategies as st

from archive.lifecycle.events.commands import parse

# No NUL: no argument of a process has one. Quotes, dollars and the like more often than by chance.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
SIGNS = st.text(st.sampled_from("'\"\\$`(){}[]*?~!#&|;<>- \t\npfacr="), max_size=12)
VALUE = TEXT | SIGNS

PLACES = ("#a", "'#a'", '"#a"', "x#ay", "'x#a'y", '"x #a y"', "--option=#a", "'#a'\"#a\"#a", "#a#p", "\\x#a")


def _ran(arguments: tuple[str, ...]) -> list[str]:
    done = subprocess.run(arguments, capture_output=True, check=True, timeout=60)
    assert done.stderr == b""
    return done.stdout.decode().split("\0")[:-1]


@given(VALUE, VALUE)
@example("#p#a", "$(touch x)")
@example("'; id; '", '"; id; "')
@example("\\", "-n")
def test_a_value_is_the_same_by_a_shell_and_without_one(calling: str, folder: str) -> None:
    line = "printf '%s\\0' " + " ".join(PLACES)
    a = calling
    expected = [a, a, a, f"x{a}y", f"x{a}y", f"x {a} y", f"--option={a}", a + a + a, a + folder, f"x{a}"]

    for uses_shell in (False, True):
        arguments = parse(line, uses_shell=uses_shell).arguments({"#a": calling, "#p": folder})

        assert _ran(arguments) == expected
