"""How a state is put to a model, in token ids: as it is, after worked examples, or in the model's chat template.

What tells the text format to a model that was never trained on it is in the request only. A state is stored, and learnt
from, as the text format has it; a recipe can have it learnt in the chat template, too (`prompt.learnt_in`).
"""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from infra.contract.model_folder import ValueWords
from tasks.language.few_shot import (
    DEMONSTRATIONS,
    INSTRUCTIONS,
    OPTION_DEMONSTRATIONS,
    OPTION_REFLECTION_DEMONSTRATION,
    REFLECTION_DEMONSTRATION,
    REFLECTION_INSTRUCTION,
)
from tasks.language.format import QUESTION_OPEN, Format, asked


class Prompts:
    """Of one model in one text format.

    `start`: what a stored state begins with, the model's BOS, if it has one. `shots`: worked examples before a
    question.
    """

    def __init__(self, tokenizer: Tokenizer, format: Format, words: ValueWords) -> None:
        # "<s>" or "<|good|>" in a question is text like any other. What the model itself samples may be special.
        tokenizer.encode_special_tokens = True
        self.tokenizer = tokenizer
        self.format = format
        self.turn = None if words.knows_format else words.turn
        self.start: list[int] = list(tokenizer.encode("").ids)
        self.opening = self.encode(format.opening)
        self.prefix, self.reflection_prefix = self.start, self.start
        self.shots = 0
        if self.turn:
            before, blanks = self.turn.before, self.turn.blanks
            self.prefix = [*before, *self.encode(blanks + INSTRUCTIONS[format])]
            self.reflection_prefix = [*before, *self.encode(blanks + REFLECTION_INSTRUCTION)]
        elif not words.knows_format:
            shown, failed = DEMONSTRATIONS, REFLECTION_DEMONSTRATION
            if words.sees_options:
                shown, failed = OPTION_DEMONSTRATIONS, OPTION_REFLECTION_DEMONSTRATION
            self.prefix = self.start + self.encode(shown[format])
            self.shots = shown[format].count(QUESTION_OPEN)
            self.reflection_prefix = self.start + self.encode(failed)

    @classmethod
    def read(cls, folder: Path, format: Format) -> "Prompts":
        """Of a model folder. Raises ValueError for one that is none."""
        return cls(Tokenizer.from_file(str(folder / "tokenizer.json")), format, ValueWords.read(folder))

    def encode(self, text: str) -> list[int]:
        """Token ids of a text that goes on; special tokens in it are no special tokens."""
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def question(self, question: str) -> list[int]:
        """Token ids of a question's prompt as it is stored and trained on."""
        return [*self.start, *self.encode(asked(question)), *self.opening]

    def asked(self, state_ids: Sequence[int], *, reflecting: bool = False) -> list[int]:
        """What the engine is asked for a state. Worked examples stand between the start and the question. In a chat the
        question is what the user says, and the answer begins with the format's opening."""
        prefix = self.reflection_prefix if reflecting else self.prefix
        state = state_ids[len(self.start) :]
        if self.turn is None:
            return [*prefix, *state]
        answer = _place_of(self.opening, state)
        return [*prefix, *state[:answer], *self.turn.after, *state[answer:]]


def _place_of(part: Sequence[int], whole: Sequence[int]) -> int:
    """Where a part first stands. A question's own tags are taken apart, so the first opening is the format's.

    Raises ValueError where it does not.
    """
    part, whole = list(part), list(whole)
    at = -1
    while True:
        at = whole.index(part[0], at + 1)
        if whole[at : at + len(part)] == part:
            return at
