"""Names of units: which words are units, and when two of them are the same one.

What both answers give must agree: 60 feet is not 60 inches. Nothing is converted (tasks/check/README.md).
"""

import re
from fractions import Fraction

from text_to_num import text2num

_SAME = {
    "dollar": "$ usd dollar buck", "cent": "cent ¢", "pound sterling": "£", "euro": "€ euro eur",
    "yen": "¥ yen jpy", "rupee": "₹ rupee rs inr",
    "percent": "percent pct",
    "degree": "degree deg", "fahrenheit": "fahrenheit degf", "celsius": "celsius degc",
    "radian": "radian rad",
    "inch": "inch in", "foot": "foot feet ft", "yard": "yard yd", "mile": "mile mi",
    "millimeter": "millimeter millimetre mm", "centimeter": "centimeter centimetre cm",
    "decimeter": "decimeter dm",
    "meter": "meter metre m", "kilometer": "kilometer kilometre km",
    "milligram": "milligram mg", "gram": "gram g gm", "kilogram": "kilogram kg kilo", "ton": "ton tonne",
    "pound": "pound lb", "ounce": "ounce oz",
    "milliliter": "milliliter millilitre ml", "liter": "liter litre l", "gallon": "gallon gal",
    "quart": "quart qt",
    "pint": "pint pt", "cup": "cup", "tablespoon": "tablespoon tbsp", "teaspoon": "teaspoon tsp",
    "second": "second sec s", "minute": "minute min", "hour": "hour hr h", "day": "day", "week": "week wk",
    "month": "month", "year": "year yr", "acre": "acre", "hertz": "hertz hz", "newton": "newton",
    "joule": "joule j",
    "watt": "watt w", "kilowatt": "kilowatt kw", "volt": "volt v", "ohm": "ohm", "kelvin": "kelvin",
    "pascal": "pascal pa", "kilopascal": "kilopascal kpa", "coulomb": "coulomb", "calorie": "calorie cal",
    "kilojoule": "kilojoule kj", "kilohertz": "kilohertz khz", "megahertz": "megahertz mhz",
    "square": "square sq", "cubic": "cubic cu", "per": "per /",
    "": "unit",
}  # fmt: skip
_CANONICAL = {word: name for name, words in _SAME.items() for word in words.split()} | {"": ""}
_IRREGULAR = {
    "people": "person",
    "men": "man",
    "women": "woman",
    "children": "child",
    "feet": "foot",
    "inches": "inch",
    "teeth": "tooth", "geese": "goose", "mice": "mouse", "oxen": "ox", "pence": "penny", "pennies": "penny",
    "wolves": "wolf", "shelves": "shelf", "halves": "half", "calves": "calf", "leaves": "leaf", "loaves": "loaf",
    "knives": "knife", "wives": "wife", "lives": "life", "scarves": "scarf", "thieves": "thief",
    "potatoes": "potato", "tomatoes": "tomato", "heroes": "hero", "buses": "bus", "gases": "gas", "quizzes": "quiz",
}  # fmt: skip
_SHORTHAND = {
    "mph": "mile per hour",
    "kph": "kilometer per hour",
    "kmh": "kilometer per hour",
    "kmph": "kilometer per hour",
    "fps": "foot per second",
}

MULTIPLES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_COUNTING = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
)
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
NUMBER_WORDS = {word: number for number, word in enumerate(_COUNTING.split())}
NUMBER_WORDS |= {ten: 10 * number for number, ten in enumerate(_TENS, 2)} | {
    f"{ten}-{one}": 10 * tens + ones
    for tens, ten in enumerate(_TENS, 2)
    for ones, one in enumerate(_COUNTING.split()[1:10], 1)
}

_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth"}
_ORDINALS |= {"twelve": "twelfth"}


def _denominator(number: str) -> str:
    """One of the parts of a whole: fifth of five, twenty-first of twenty-one."""
    tens, _, one = number.rpartition("-")
    ordinal = _ORDINALS.get(one) or f"{one[:-1]}ie" * one.endswith("y") + one * (not one.endswith("y")) + "th"
    return f"{tens}-{ordinal}" if tens else ordinal


COLLECTIVES = {"pair": Fraction(2), "couple": Fraction(2), "dozen": Fraction(12), "score": Fraction(20)}
COLLECTIVES |= {"gross": Fraction(144), "half": Fraction(1, 2), "quarter": Fraction(1, 4)}
"""Words that scale a number and are counted like a unit: of 5 dozen the gold answer may supply the dozen."""
_PARTS = {_denominator(word): Fraction(1, number) for word, number in (NUMBER_WORDS | MULTIPLES).items() if number > 2}
_SCALES = {word: Fraction(number) for word, number in MULTIPLES.items()}
_SCALES |= {"lakh": Fraction(10**5), "crore": Fraction(10**7), "grand": Fraction(1000)} | COLLECTIVES
_PLURALS = {f"{word}s": value for word, value in (_SCALES | _PARTS).items()} | {"halves": Fraction(1, 2)}
_PLURALS |= {f"{word}{'es' * word.endswith('x') or 's'}": Fraction(number) for word, number in NUMBER_WORDS.items()}
SCALES = _SCALES | _PLURALS
"""What stands behind a number and multiplies it. Of ordinals only the plural does: 5 third graders are five."""


_ONE = _PARTS | {"half": Fraction(1, 2), "quarter": Fraction(1, 4)}
_SEVERAL = {f"{word}s": value for word, value in _ONE.items()} | {"halves": Fraction(1, 2)}
_NUMERAL = re.compile(
    rf"(?:an? )?(?:{'|'.join(sorted((*NUMBER_WORDS, *MULTIPLES), key=len, reverse=True))})"
    rf"(?:(?: and |[ -])(?:{'|'.join(sorted((*NUMBER_WORDS, *MULTIPLES), key=len, reverse=True))}))+"
    rf"|an? (?:{'|'.join(MULTIPLES)})"
)


_COUNTED = re.compile(rf"(an?|{'|'.join(NUMBER_WORDS)}) ((?:{'|'.join(COLLECTIVES)})s?)")
_PART = re.compile(rf"(an?|{'|'.join(NUMBER_WORDS)})[ -](?:({'|'.join(_ONE)})|({'|'.join(_SEVERAL)}))")


def in_digits(text: str) -> str:
    """A number in words as digits ("one hundred and five", "minus three", "two thirds"), any other text as it is."""
    words = text.casefold()
    if words in NUMBER_WORDS:
        return str(NUMBER_WORDS[words])
    if words.startswith(("negative ", "minus ")):
        number = in_digits(rest := text.partition(" ")[2].strip())
        return text if number == rest else f"-{number}"
    if part := _PART.fullmatch(words):
        count = NUMBER_WORDS.get(part[1], 1)
        if (count == 1) == bool(part[2]):
            return str(count * (_ONE | _SEVERAL)[part[2] or part[3]])
    if counted := _COUNTED.fullmatch(words):
        return f"{NUMBER_WORDS.get(counted[1], 1)} {counted[2]}"
    if not _NUMERAL.fullmatch(words):
        return text
    try:
        return str(text2num(re.sub(r"\Aan? ", "one ", words), "en"))
    except ValueError:  # numerals in no order: five six
        return text


_MARKED_POWER = re.compile(r"(?<![A-Za-z])([mcdk]?m|ft|in|yd|mi)([23])(?!\d)")


def powers_marked(text: str) -> str:
    """Powers of lengths that are written without their sign: cm2 is cm^2."""
    return _MARKED_POWER.sub(r"\1^\2", text)


def is_unit(word: str) -> bool:
    """Is this word the name of a unit of measure (in any of its spellings)? Counted nouns are not."""
    return _singular(word.lower()) in _CANONICAL or word.lower() in _SHORTHAND


def canonical(text: str) -> str:
    """One name for one unit: "sq. ft", "square feet", "ft^2" -> "foot^2"; "" where none is named ("units"
    names none).

    Of counted things only the last word decides: "red apples" are apples.
    """
    text = re.sub(r"\\frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"\1 / \2", powers_marked(text.lower()))
    text = re.sub(r"([a-z]+)\s*\^\s*\{\s*-\s*1\s*\}", r" / \1", text)
    text = re.sub(r"([a-z]+)\s*\^\s*\{\s*-\s*([23])\s*\}", r" / \1^\2", text)
    text = re.sub(r"[\"{}()\\]", " ", text)
    text = re.sub(r"\bin (?:total|all|each|the)\b.*|\baltogether\b", " ", text)
    text = re.sub(r"\^\s*([23])", r" ^\1 ", text.replace("/", " per ").replace(".", " "))
    names: list[str] = []
    power = ""
    for word in text.split():
        for part in _SHORTHAND.get(word, word).split():
            name = _CANONICAL.get(_singular(part), _singular(part))
            if name in ("square", "cubic"):
                power = "^2" if name == "square" else "^3"
            elif part in ("squared", "^2", "cubed", "^3"):
                names[-1:] = [f"{names[-1]}^{'2' if part in ('squared', '^2') else '3'}"] if names and names[-1] else []
            elif name not in ("of", "the", "each", "total"):
                names.append(name + power if name else "")
                power = ""
    known = [name for name in names if name.split("^")[0] in _SAME]
    return " ".join(name for name in known or names[-1:] if name)


def _singular(word: str) -> str:
    if word in _CANONICAL or word in _IRREGULAR.values() or len(word) < 3:
        return word
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word
