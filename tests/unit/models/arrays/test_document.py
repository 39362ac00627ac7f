"""Documents in YAML say what they say in JSON, and what a key twice says is not guessed."""

from pathlib import Path

import pytest
import yaml

from models.arrays.document import read_yaml
from models.experiments.plan.plan_file import PlanFileError, read_plan


@pytest.mark.parametrize("name", ["no", "NO", "on", "off", "yes", "y", "N", "trueish"])
def test_a_word_for_a_boolean_of_yaml_1_1_is_a_text(name: str) -> None:
    """As of the market of Norway, and of variants that switch something on and off."""
    assert read_yaml(f"{{markets: [{name}], {name}: 1}}".encode()) == {"markets": [name], name: 1}


def test_other_values_are_those_of_yaml() -> None:
    content = b"\xef\xbb\xbfa: true\r\nb: [False, null, 0.5, '7']\r\nc: {<<: {d: 1}, e: 2}\r\n"

    assert read_yaml(content) == {
        "a": True,
        "b": [False, None, 0.5, "7"],
        "c": {"d": 1, "e": 2},
    }


def test_a_merged_mapping_may_itself_be_merged_and_replace_keys() -> None:
    content = b"x: &x {a: 1, b: 3}\nouter: {base: &base {<<: *x, a: 2}}\nuse: {<<: *base}\n"

    document = read_yaml(content)

    merged = {"a": 2, "b": 3}
    assert document == {"x": {"a": 1, "b": 3}, "outer": {"base": merged}, "use": merged}


@pytest.mark.parametrize(
    "content",
    [
        "default: {order_by: popularity}\ndefault: {order_by: meta}\n",
        "default: {order_by: popularity, order_by: meta}\n",
        '{"default": {"order_by": "popularity", "order_by": "meta"}}',
        "default: {<<: {order_by: meta}, order_by: popularity, order_by: meta}\n",
    ],
)
def test_a_plan_that_has_a_key_twice_is_refused_with_its_line(tmp_path: Path, content: str) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(content)

    with pytest.raises(PlanFileError, match=r"the key '(default|order_by)' is there twice\n.*line"):
        read_plan(file)


def test_nothing_but_plain_values_is_made() -> None:
    with pytest.raises(yaml.YAMLError, match="could not determine a constructor"):
        read_yaml(b"!!python/object/apply:os.getcwd []")
