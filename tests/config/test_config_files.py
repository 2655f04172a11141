from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
from attrs import field, frozen

from runtime.config import examine, load, load_pair
from runtime.config_rules import at_least
from runtime.config_walk import FOLDER, Fault
from runtime.errors import ConfigError, Problem


@frozen
class Wheel:
    name: str
    teeth: int = field(default=10, validator=at_least(2))

    def faults(self) -> Iterator[Fault]:
        if self.name == "square":
            yield Fault("name", "it does not turn", "make it round")


@frozen
class Motor:
    power_w: float
    kind: Literal["steam", "diesel"] = "steam"
    low: int = 0
    high: int = field(default=9)

    @high.validator
    def _above_low(self, _attribute: attrs.Attribute[int], value: int) -> None:
        if value < self.low:
            raise ValueError("high is below low; raise it")

    def __attrs_post_init__(self) -> None:
        if self.kind == "diesel" and self.power_w > 100:
            raise ValueError("so strong a diesel does not exist")


@frozen
class Machine:
    motor: Motor
    wheels: tuple[Wheel, ...] = field(alias="wheel", default=())
    sizes: tuple[int, ...] = ()
    args: Mapping[str, Any] = field(factory=dict)
    label: str | None = None
    loud: bool = False
    drawing: Path | None = None
    base: Path = field(factory=Path, metadata=FOLDER)


def write(folder: Path, text: str, name: str = "machine.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def problems(path: Path) -> dict[str, Problem]:
    with pytest.raises(ConfigError) as caught:
        load(path, Machine)
    found = {problem.key: problem for problem in caught.value.problems}
    assert len(found) == len(caught.value.problems)
    return found


def test_a_correct_file_gives_its_value(tmp_path: Path) -> None:
    text = """
    sizes = [1, 2]
    label = "m"
    loud = true
    drawing = "plans/a.svg"
    args = { any = ["thing", 1] }
    [motor]
    power_w = 5
    [[wheel]]
    name = "left"
    [[wheel]]
    name = "right"
    teeth = 12
    """
    machine = load(write(tmp_path, text), Machine)
    assert machine == Machine(
        Motor(5.0),
        (Wheel("left"), Wheel("right", 12)),
        (1, 2),
        {"any": ["thing", 1]},
        "m",
        True,
        tmp_path / "plans/a.svg",
        tmp_path,
    )
    assert isinstance(machine.motor.power_w, float)


def test_ten_mistakes_are_ten_problems(tmp_path: Path) -> None:
    text = """
    labell = "m"
    sizes = [1, "two", 3.5]
    base = "/"
    [motor]
    kind = "stem"
    low = 5
    high = 4
    [[wheel]]
    name = "left"
    [[wheel]]
    teeth = 1
    [[wheel]]
    name = "square"
    """
    assert set(problems(write(tmp_path, text))) == {
        "labell",
        "sizes[1]",
        "sizes[2]",
        "base",
        "motor.power_w",
        "motor.kind",
        "motor.high",
        "wheel[1].name",
        "wheel[1].teeth",
        "wheel[2].name",
    }


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('sizes = "1"', "sizes"),
        ("sizes = [true]", "sizes[0]"),
        ("label = 3", "label"),
        ('loud = "yes"', "loud"),
        ("args = []", "args"),
        ("drawing = 1", "drawing"),
        ("wheel = 1", "wheel"),
        ("wheel = [1]", "wheel[0]"),
        ("motor.power_w = nan", "motor.power_w"),
        ("motor.power_w = true", "motor.power_w"),
        ('motor.power_w = "1"', "motor.power_w"),
        ("motor = {power_w = 1, low = 1.0}", "motor.low"),
        ("motor = {power_w = 1, low = 2020-01-01}", "motor.low"),
        ("motor = []", "motor"),
        ("motor = {power_w = 1, kind = 1}", "motor.kind"),
    ],
)
def test_values_are_not_bent_to_their_type(tmp_path: Path, line: str, key: str) -> None:
    rest = "" if line.startswith("motor") else "\n[motor]\npower_w = 1"
    assert list(problems(write(tmp_path, line + rest))) == [key]


def test_a_misspelt_key_and_a_misspelt_choice_get_a_suggestion(tmp_path: Path) -> None:
    text = 'lable = "m"\n[motor]\npower_w = 1\nkind = "deisel"'
    found = problems(write(tmp_path, text))
    assert found["lable"].fix == "did you mean 'label'?"
    assert found["motor.kind"].fix == "did you mean 'diesel'?"


def test_an_unknown_word_gets_the_list(tmp_path: Path) -> None:
    found = problems(write(tmp_path, '[motor]\npower_w = 1\nkind = "xyz"'))
    assert found["motor.kind"].fix == "choose from steam, diesel"


def test_a_missing_table_is_one_problem(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    assert problems(path) == {"motor": Problem(str(path), "motor", "it is missing", "add a table")}


def test_a_validator_that_needs_a_missing_field_stays_quiet(tmp_path: Path) -> None:
    text = '[motor]\npower_w = 1\nlow = "x"\nhigh = 3'
    assert list(problems(write(tmp_path, text))) == ["motor.low"]


def test_errors_of_classes_become_problems_at_their_key(tmp_path: Path) -> None:
    found = problems(write(tmp_path, "[motor]\npower_w = 1\nlow = 5\nhigh = 4"))
    assert found["motor.high"].message == "high is below low"
    assert found["motor.high"].fix == "raise it"
    found = problems(write(tmp_path, '[motor]\npower_w = 101\nkind = "diesel"'))
    assert found["motor"].message == "so strong a diesel does not exist"


def test_broken_syntax_gives_line_and_column(tmp_path: Path) -> None:
    path = write(tmp_path, "[motor]\npower_w 5")
    assert list(problems(path)) == ["line 2, column 9"]


def test_broken_syntax_at_the_end_is_named_so(tmp_path: Path) -> None:
    assert list(problems(write(tmp_path, "sizes = ["))) == ["end of document"]


def test_files_that_cannot_be_read_are_problems(tmp_path: Path) -> None:
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'label = "\xe9"')
    assert "UTF-8" in problems(latin)["(file)"].message
    assert problems(tmp_path / "none.toml")["(file)"].message == "there is no such file"
    assert "cannot be read" in problems(tmp_path)["(file)"].message


def test_the_problems_of_two_files_are_reported_together(tmp_path: Path) -> None:
    one = write(tmp_path, "", "one.toml")
    two = write(tmp_path, "loud = 1\n[motor]\npower_w = 1", "two.toml")
    with pytest.raises(ConfigError) as caught:
        load_pair((one, Machine), (two, Machine))
    assert [(p.file, p.key) for p in caught.value.problems] == [
        (str(one), "motor"),
        (str(two), "loud"),
    ]


def test_two_correct_files_give_both_values(tmp_path: Path) -> None:
    one = write(tmp_path, 'name = "left"', "one.toml")
    two = write(tmp_path, "power_w = 2", "two.toml")
    assert load_pair((one, Wheel), (two, Motor)) == (Wheel("left"), Motor(2.0))


def test_examine_returns_what_load_raises(tmp_path: Path) -> None:
    path = write(tmp_path, "teeth = 1")
    examined = examine(path, Wheel)
    assert examined.value is None
    assert [problem.key for problem in examined.problems] == ["name", "teeth"]
