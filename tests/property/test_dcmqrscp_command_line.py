"""No words make dcmqrscp's command line fail otherwise than by Misconfigured, and the right-most option counts."""

from hypothesis import given
from hypothesis import strategies as st

from archive.cli.dcmtk.dcmqrscp import Dcmqrscp, decide
from archive.cli.dcmtk.dcmqrscp_options import PROGRAM
from archive.errors import Misconfigured

# A face answers --help and --version before anything is decided.
NAMES = st.sampled_from(sorted(name for name, option in PROGRAM.options.items() if not option.is_exclusive))
WORDS = (
    NAMES
    | st.sampled_from(("1", "0", "-5", "4096", "x", "", "-", "010", "0x1f", "9" * 30))
    | st.text(max_size=6).filter(lambda text: text not in ("-h", "--help"))
)
SWITCHES = sorted(name for name, option in PROGRAM.options.items() if not option.values and not option.is_exclusive)


@given(words=st.lists(WORDS, max_size=12))
def test_no_words_fail_otherwise(words: list[str]) -> None:
    message = "understood"
    try:
        decide(PROGRAM.parse(words))
    except Misconfigured as refusal:
        message = refusal.message
    assert message


@given(before=st.lists(st.sampled_from(SWITCHES), max_size=6), last=st.sampled_from(SWITCHES))
def test_saying_the_last_option_again_changes_nothing(before: list[str], last: str) -> None:
    def outcome(words: list[str]) -> Dcmqrscp | str:
        try:
            return decide(PROGRAM.parse(words))
        except Misconfigured as refusal:
            return str(refusal)

    assert outcome([*before, last]) == outcome([*before, last, last])
