"""Settings and constants: no number out of range, of another form, or against another setting."""

from tests.mutants.mutant import Mutant

_BOUNDS = ("settings/test_settings_bounds.py",)
_RULES = ("settings/test_settings_rules.py",)
_CONSTANTS = ("calibration/test_constants_file.py",)

MUTANTS = (
    Mutant(
        "budget_without_a_greatest_value",
        "every number of the settings has a least and a greatest value",
        "settings.py",
        "daily_loss_dollars: float = Field(50.0, gt=0.0, le=1_000_000.0)",
        "daily_loss_dollars: float = Field(50.0, gt=0.0)",
        _BOUNDS,
    ),
    Mutant(
        "true_is_a_number",
        "a boolean is no number",
        "settings.py",
        "if annotation is int and found is not int:",
        "if annotation is int and found not in {int, bool}:",
        _BOUNDS,
    ),
    Mutant(
        "text_is_a_number",
        "a text in quotes is no number",
        "settings.py",
        "if annotation is float and found not in {int, float}:",
        "if annotation is float and found not in {int, float, str}:",
        _BOUNDS,
    ),
    Mutant(
        "digits_of_any_script",
        "a number is ASCII digits with at most one point",
        "settings_environment.py",
        '            return integer_text(text, "")\n',
        "            return int(text)\n",
        _BOUNDS,
    ),
    Mutant(
        "variable_says_a_key_twice",
        "JSON in a variable names each key once",
        "settings_environment.py",
        "return parse_json(value, field_name)",
        'return __import__("json").loads(value)',
        _BOUNDS,
    ),
    Mutant(
        "day_budget_beyond_the_week",
        "contradictions are refused with both keys",
        "settings_contradictions.py",
        'AtMost("guards.daily_loss_dollars", daily, "guards.weekly_loss_dollars", weekly, why)',
        'AtMost("guards.daily_loss_dollars", 0.0, "guards.weekly_loss_dollars", weekly, why)',
        _RULES,
    ),
    Mutant(
        "guard_age_equal_to_its_poll",
        "a guard is never younger than the poll that feeds it",
        "settings_contradictions.py",
        'yield AtMost(poll, every, f"guards.{age}", most, why, strictly=True)',
        'yield AtMost(poll, every, f"guards.{age}", most, why)',
        _RULES,
    ),
    Mutant(
        "lease_without_a_second_try",
        "a lease leaves time for a renewal without an answer and for one more",
        "settings_contradictions.py",
        "least = _LEASE_PER_WRITE * write / 1_000",
        "least = write / 1_000",
        _RULES,
    ),
    Mutant(
        "window_that_never_opens",
        "settings under which no window opens are refused",
        "settings_contradictions.py",
        "    if first.hour * _HOUR_S + first.minute * 60 + first.second >= last_s:\n",
        "    if False:\n",
        (*_RULES, *_BOUNDS),
    ),
    Mutant(
        "constants_taken_loosely",
        "a constant is a JSON number",
        "calibration/constants_file.py",
        "frozen=True, strict=True, hide_input_in_errors=True",
        "frozen=True, hide_input_in_errors=True",
        _CONSTANTS,
    ),
    Mutant(
        "constants_twice",
        "a constants file names each key once",
        "calibration/constants_file.py",
        "        parse_json(text, path.name)\n",
        "",
        _CONSTANTS,
    ),
)
