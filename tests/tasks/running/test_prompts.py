"""What a model is asked for a state, and what of it is stored."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from infra.contract.model_folder import Turn, ValueWords
from tasks.language.few_shot import (
    DEMONSTRATIONS,
    INSTRUCTIONS,
    OPTION_DEMONSTRATIONS,
    OPTION_REFLECTION_DEMONSTRATION,
    PROGRAM_DEMONSTRATIONS,
    PROGRAM_INSTRUCTIONS,
    PROGRAM_REFLECTION_DEMONSTRATION,
    PROGRAM_REFLECTION_INSTRUCTION,
    REFLECTION_INSTRUCTION,
)
from tasks.language.format import PLANS, PROGRAM_ASKED, SOLUTIONS, STEP_OPEN, Format
from tasks.running.prompts import Prompts

LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())
USER, ASSISTANT = len(LETTERS) + 1, len(LETTERS) + 2
TURN = Turn(before=[0, USER], after=[ASSISTANT])
questions = st.lists(st.one_of(st.text(max_size=9), st.sampled_from(["<plan>\n", "<solution>\n", "</question>\n"])))


def prompts(
    *,
    has_bos: bool = True,
    knows_format: bool = False,
    turn: Turn | None = None,
    sees_options: Literal[True] | None = None,
    format: Format = PLANS,
) -> Prompts:
    """One token a byte; the beginning of a sequence is token 0."""
    names = ["<s>", *LETTERS, "<|user|>", "<|assistant|>", "<|end|>"]
    tokenizer = Tokenizer(models.BPE({name: number for number, name in enumerate(names)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    if has_bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    words = ValueWords(
        good=1, bad=2, eos=len(names) - 1, knows_format=knows_format, turn=turn, sees_options=sees_options
    )
    return Prompts(tokenizer, format, words)


@pytest.mark.parametrize("has_bos", [True, False])
def test_who_knows_the_format_is_asked_for_what_is_stored(has_bos: bool) -> None:
    """A model that was pre-trained with BOS is searched, trained and evaluated with it."""
    for turn in (None, TURN):
        own = prompts(has_bos=has_bos, knows_format=True, turn=turn)
        state = own.question("Q?")
        assert own.asked(state) == own.asked(state, reflecting=True) == state
        assert state[: len(own.start)] == own.start == [0] * has_bos
        assert state.count(0) == has_bos


@pytest.mark.parametrize("turn", [None, TURN])
def test_what_is_reflected_on_has_no_end_of_sequence_in_its_middle(turn: Turn | None) -> None:
    """Who answers in no format ends by it, and a model that reads on takes what follows for another document."""
    own = prompts(turn=turn)
    state = own.question("Q?")
    ended, verdict = [*state, *own.encode("Seven."), own.eos], own.encode("It is wrong.")
    sent = own.asked([*ended, *verdict], reflecting=True)
    assert sent == own.asked([*state, *own.encode("Seven."), *verdict], reflecting=True)
    assert sent[-len(verdict) :] == verdict
    assert own.eos in own.asked(ended), "a state is what it is"


def test_worked_examples_stand_between_the_start_and_the_question() -> None:
    own = prompts()
    state = own.question("Q?")
    for reflecting in (False, True):
        sent = own.asked(state, reflecting=reflecting)
        assert sent[0] == 0
        assert sent.count(0) == 1
        assert sent[-len(state) + 1 :] == state[1:]
        assert len(sent) > len(state) + 100


@pytest.mark.parametrize("format", [PLANS, SOLUTIONS])
def test_a_policy_is_asked_and_shown_examples_in_one_format(format: Format) -> None:
    own = prompts(has_bos=False, format=format)
    assert own.asked(own.question("Q?")) == own.encode(DEMONSTRATIONS[format] + format.prompt("Q?"))


@pytest.mark.parametrize("format", [PLANS, SOLUTIONS])
def test_where_questions_are_multiple_choice_the_examples_are(format: Format) -> None:
    """Until the model has learnt the format: then it is shown none of either."""
    shown = prompts(sees_options=True, format=format)
    state = shown.question("Q?")
    assert shown.asked(state)[1:] == shown.encode(OPTION_DEMONSTRATIONS[format]) + state[1:]
    assert shown.asked(state, reflecting=True)[1:] == shown.encode(OPTION_REFLECTION_DEMONSTRATION) + state[1:]
    assert prompts(knows_format=True, sees_options=True, format=format).asked(state) == state


@pytest.mark.parametrize("format", [PLANS, SOLUTIONS])
@given(parts=questions)
def test_in_a_chat_the_user_asks_and_the_answer_begins_with_the_opening(format: Format, parts: list[str]) -> None:
    """Whatever the question holds: it ends no turn. The state that is stored is the same as everybody's."""
    own = prompts(turn=TURN, format=format)
    question, step = "".join(parts), own.encode(STEP_OPEN)
    state = [*own.question(question), *step]
    assert state == [*prompts(format=format).question(question), *step]
    for reflecting, instruction in ((False, INSTRUCTIONS[format]), (True, REFLECTION_INSTRUCTION)):
        said = instruction + format.prompt(question).removesuffix(format.opening)
        answer = own.encode(format.opening + STEP_OPEN)
        assert own.asked(state, reflecting=reflecting) == [0, USER, *own.encode(said), ASSISTANT, *answer]


def test_the_blank_before_a_users_words_is_a_part_of_their_first_token() -> None:
    """As of "[INST] Solve": where a word has its blank before it, a blank alone is a token that the model never saw."""
    names = [*LETTERS, "ĠS", "[INST]", "[/INST]"]
    tokenizer = Tokenizer(models.BPE({name: number for number, name in enumerate(names)}, merges=[("Ġ", "S")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    turn = Turn(before=[names.index("[INST]")], blanks=" ", after=[names.index("[/INST]")])
    own = Prompts(tokenizer, PLANS, ValueWords(good=1, bad=2, eos=len(names) - 1, knows_format=False, turn=turn))
    assert INSTRUCTIONS[PLANS].startswith("Solve")
    for prefix in (*own.prefixes, *own.program_prefixes):
        assert [names[number] for number in prefix[:3]] == ["[INST]", "ĠS", "o"]


@pytest.mark.parametrize("turn", [None, TURN])
def test_what_all_prompts_of_a_policy_share_is_their_prefix(turn: Turn | None) -> None:
    own = prompts(turn=turn)
    for reflecting in (False, True):
        one, other = (own.asked(own.question(question), reflecting=reflecting) for question in ("A", "B"))
        prefixes = [own.prefix_of(own.question(question), reflecting=reflecting) for question in ("A", "B")]
        assert prefixes == [own.prefixes[reflecting]] * 2
        shared = len(prefixes[0]) + len(own.encode("<question>\n"))
        assert one[:shared] == other[:shared]
        assert one[shared] != other[shared]


@pytest.mark.parametrize("turn", [None, TURN])
@pytest.mark.parametrize("format", [PLANS, SOLUTIONS])
def test_who_is_asked_for_a_program_is_shown_how_one_is_given(turn: Turn | None, format: Format) -> None:
    own = prompts(turn=turn, format=format)
    of_program = own.question(f"{PROGRAM_ASKED}\n```python\ndef f(n):\n```")
    told = (
        (PROGRAM_INSTRUCTIONS[format], PROGRAM_REFLECTION_INSTRUCTION)
        if turn
        else (PROGRAM_DEMONSTRATIONS[format], PROGRAM_REFLECTION_DEMONSTRATION)
    )
    for reflecting in (False, True):
        prefix = own.prefix_of(of_program, reflecting=reflecting)
        assert prefix[-len(own.encode(told[reflecting])) :] == own.encode(told[reflecting])
        assert own.asked(of_program, reflecting=reflecting)[: len(prefix)] == prefix
        assert "boxed" not in told[reflecting]
    assert own.prefix_of(own.question(f"Why? {PROGRAM_ASKED}")) == own.prefixes[0]
    assert prompts(knows_format=True).prefix_of(of_program) == [0]
