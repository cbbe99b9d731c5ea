-- No question of a round is one that its benchmarks ask, word for word; what asks the same in other words is refused before the round starts.
with asked as (
    select distinct campaign, round, benchmark, trim(regexp_replace(question, '\s+', ' ', 'g')) as words
    from evaluation_samples
)

select questions.campaign, questions.round, questions.question_id, asked.benchmark, questions.question
from questions
inner join asked
    on
        questions.campaign = asked.campaign
        and questions.round = asked.round
        and trim(regexp_replace(questions.question, '\s+', ' ', 'g')) = asked.words
