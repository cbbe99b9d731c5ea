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
    PROGRAM_DEMONSTRATIONS,
    PROGRAM_INSTRUCTIONS,
    PROGRAM_REFLECTION_DEMONSTRATION,
    PROGRAM_REFLECTION_INSTRUCTION,
    REFLECTION_DEMONSTRATION,
    REFLECTION_INSTRUCTION,
)
from tasks.language.format import PROGRAM_ASKED, QUESTION_OPEN, Format, asked


class Prompts:
    """Of one model in one text format.

    `start`: what a stored state begins with, the model's BOS, if it has one. `shots`: worked examples before a
    question. `prefixes`: what stands before a question, and before one whose answer is reflected on; one that asks for
    a program is known by its first words and has its own.
    """

    def __init__(self, tokenizer: Tokenizer, format: Format, words: ValueWords) -> None:
        # "<s>" or "<|good|>" in a question is text like any other. What the model itself samples may be special.
        tokenizer.encode_special_tokens = True
        self.tokenizer = tokenizer
        self.format = format
        self.turn = None if words.knows_format else words.turn
        self.start: list[int] = list(tokenizer.encode("").ids)
        self.eos = words.eos
        self.opening = self.encode(format.opening)
        self.program = self.encode(f"{QUESTION_OPEN}\n{PROGRAM_ASKED}")[:-2]  # the last ones depend on what follows
        self.shots = 0
        shown, of_program = ("", ""), ("", "")
        if self.turn:
            shown = INSTRUCTIONS[format], REFLECTION_INSTRUCTION
            of_program = PROGRAM_INSTRUCTIONS[format], PROGRAM_REFLECTION_INSTRUCTION
        elif not words.knows_format:
            shown = DEMONSTRATIONS[format], REFLECTION_DEMONSTRATION
            if words.sees_options:
                shown = OPTION_DEMONSTRATIONS[format], OPTION_REFLECTION_DEMONSTRATION
            of_program = PROGRAM_DEMONSTRATIONS[format], PROGRAM_REFLECTION_DEMONSTRATION
            self.shots = shown[0].count(QUESTION_OPEN)
        before, blanks = (self.turn.before, self.turn.blanks) if self.turn else (self.start, "")
        self.prefixes, self.program_prefixes = (
            [[*before, *self.encode(blanks + one)] for one in both] for both in (shown, of_program)
        )

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

    def prefix_of(self, state_ids: Sequence[int], *, reflecting: bool = False) -> list[int]:
        """What stands before the question of a state, the same for all such questions."""
        begin = len(self.start)
        of_program = list(state_ids[begin : begin + len(self.program)]) == self.program
        return (self.program_prefixes if of_program else self.prefixes)[reflecting]

    def asked(self, state_ids: Sequence[int], *, reflecting: bool = False) -> list[int]:
        """What the engine is asked for a state. Worked examples stand between the start and the question. In a chat the
        question is what the user says, and the answer begins with the format's opening. An attempt that ended itself is
        reflected on without its end of sequence: behind one, a model takes what follows for another document."""
        prefix, state = self.prefix_of(state_ids, reflecting=reflecting), state_ids[len(self.start) :]
        if reflecting:
            state = [token for token in state if token != self.eos]
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
