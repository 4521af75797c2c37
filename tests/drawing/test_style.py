"""The legend: numbers that read well, texts that fit, colours that are told apart."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagraph.drawing.style import (
    DARK,
    LIGHT,
    css,
    fit,
    level,
    number,
    percent,
    seconds,
    short,
    stroke,
    text_width,
    wrap,
)


@pytest.mark.parametrize(
    "fill, colour",
    [(0, "calm"), (0.6, "calm"), (0.61, "busy"), (0.85, "busy"), (0.86, "full"), (1, "full"), (3, "full")],
)
def test_a_fill_is_green_to_60_amber_to_85_and_red_above(fill: float, colour: str) -> None:
    """The thresholds are the product's promise."""
    assert level(fill) == colour


def test_a_fuller_edge_is_a_thicker_edge() -> None:
    """Never colour alone; and what is beyond its capacity is not thicker than full."""
    widths = [stroke(fill / 10) for fill in range(11)]
    assert widths == sorted(set(widths))
    assert stroke(7.0) == stroke(1.0)


@pytest.mark.parametrize(
    "value, shown",
    [
        (0, "0"),
        (0.25, "0.2"),
        (3, "3"),
        (9.96, "10"),
        (312.4, "312"),
        (999.6, "1k"),
        (1234, "1.2k"),
        (99_960, "100k"),
        (35e6, "35M"),
    ],
)
def test_a_short_number_has_at_most_five_characters(value: float, shown: str) -> None:
    """Rates sit in narrow places."""
    assert short(value) == shown


@given(st.floats(0, 9.9e14))
def test_no_rate_is_longer_than_its_place(value: float) -> None:
    """Whatever the rate."""
    assert len(short(value)) <= 5


def test_counts_are_exact_as_long_as_one_can_read_them() -> None:
    """Then they are rounded."""
    assert number(9_999_999) == "9,999,999"
    assert number(12_345_678) == "12.3M"


@pytest.mark.parametrize(
    "value, shown", [(0.42, "0.4 s"), (12, "12 s"), (83.2, "83 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 d")]
)
def test_a_duration_has_one_unit(value: float, shown: str) -> None:
    """Seconds to minutes to hours to days."""
    assert seconds(value) == shown
    assert percent(0.974) == "97 %"


@settings(max_examples=50)
@given(st.text(max_size=60), st.floats(20, 300))
def test_what_is_fitted_fits(text: str, width: float) -> None:
    """By the estimate that boxes are made with, whole where it can be, else with an ellipsis."""
    shown = fit(text, width, 12)
    assert text_width(shown, 12) <= width
    assert shown == text or shown.endswith("…")


def test_a_sentence_is_wrapped_and_its_last_line_cut() -> None:
    """No word is lost where there is room for all."""
    sentence = "one two three four five six seven eight nine ten"
    lines = wrap(sentence, 90, 12, 10)
    assert " ".join(lines) == sentence
    assert all(text_width(line, 12) <= 90 for line in lines)
    cut = wrap(sentence, 90, 12, 2)
    assert len(cut) == 2
    assert cut[1].endswith("…")
    assert wrap("", 90, 12, 2) == []


def test_a_text_of_a_megabyte_is_cut_at_once() -> None:
    """An error may hold a whole document."""
    start = time.process_time()
    assert len(fit("word " * 200_000, 300, 12)) < 100
    assert len(wrap("word " * 200_000, 300, 12, 3)) == 3
    assert time.process_time() - start < 1


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def _contrast(one: str, other: str) -> float:
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_can_be_read_in_light_and_in_dark(colours: dict[str, str]) -> None:
    """WCAG AA: 4.5 for text, on every ground it stands on; 2.5 for the bars on theirs."""
    for ground in ("page", "card", "culprit"):
        assert _contrast(colours["ink"], colours[ground]) > 7
        assert _contrast(colours["muted"], colours[ground]) > 4.5
        for bar in ("calm", "busy", "full", "work", "blocked"):
            assert _contrast(colours[bar], colours[ground]) > 2.3
    assert _contrast(colours["page"], colours["full"]) > 4.5


def test_every_colour_has_a_variable_and_a_plain_value_before_it() -> None:
    """Programs without CSS variables see the light picture; pages can set their own."""
    rules = css()
    assert set(LIGHT) == set(DARK)
    for name, colour in LIGHT.items():
        assert f":{colour};" in rules
        assert f":var(--dg-{name})" in rules
    assert "prefers-color-scheme:dark" in rules
    assert "url(" not in rules
    assert "@import" not in rules
    assert "<" not in rules
