-- No question of a campaign's rounds is a benchmark question, compared by their texts without case and white space.
with benchmark_questions as (
    select distinct
        campaign,
        benchmark,
        lower(regexp_replace(question, '\s+', '', 'g')) as normalised,
    from evaluation_samples
)

select questions.campaign, questions.round, questions.question_id, benchmark, questions.question
from questions
inner join benchmark_questions
    on
        questions.campaign = benchmark_questions.campaign
        and lower(regexp_replace(questions.question, '\s+', '', 'g')) = benchmark_questions.normalised
