"""The page of refusals says what happens: our column always, the others' where their versions are the stated ones."""

import re

import pytest

from benchmarks.refusals import ACCEPTED, PAGE, REFUSED, blocks, cells, installed, outcome, python_version, tables
from benchmarks.refusals_libraries import LIBRARIES, OURS, Library
from benchmarks.refusals_rules import GROUPS, Rule

RULES = [rule for group in GROUPS for rule in group.rules]
WANTED = {rule.text: ACCEPTED if group.accepted else REFUSED for group in GROUPS for rule in group.rules}
WRITTEN = blocks(PAGE.read_text())
COLUMNS = cells("\n".join(WRITTEN[group.name] for group in GROUPS))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.text)
def test_ours_does_what_the_page_is_about(rule: Rule) -> None:
    """Bad tokens and keys are refused with a TokenError or at the start; good ones are accepted."""
    assert outcome(OURS, rule) == WANTED[rule.text]


def test_the_page_has_these_rules() -> None:
    """`python -m benchmarks.refusals --write` when this fails: a rule is new, gone or worded in another way."""
    assert list(COLUMNS) == [library.name for library in LIBRARIES]
    assert COLUMNS[OURS.name] == WANTED
    assert {group.name: WRITTEN[group.name] for group in GROUPS} == tables(COLUMNS)


@pytest.mark.parametrize("library", LIBRARIES[1:], ids=lambda library: library.name)
def test_the_page_is_fair(library: Library) -> None:
    """What it says of another package is what that package does, in the version that it names."""
    stated = re.search(rf"\b{re.escape(library.name)} ([\d.]+\d)", WRITTEN["versions"])
    assert stated is not None
    if installed(library) != stated[1] or not WRITTEN["versions"].endswith(f"Python {python_version()}."):
        pytest.skip(f"the page is about {library.name} {stated[1]}; here is {installed(library)}")
    assert {rule.text: outcome(library, rule) for rule in RULES} == COLUMNS[library.name]


def test_rules_have_names_of_their_own() -> None:
    """A table's row is found by its text."""
    assert len(WANTED) == len(RULES)
