-- What of the benchmarks stands in what was trained on? Questions that are asked again word for word, in any round, and the closest training text of each benchmark.
with asked as (
    select distinct benchmark, trim(regexp_replace(question, '\s+', ' ', 'g')) as words
    from evaluation_samples
),

sampled as (
    select campaign, round, question_id, trim(regexp_replace(question, '\s+', ' ', 'g')) as words
    from questions
    where not is_held_out
),

copied as (
    select campaign, round, benchmark, count(*) as copied_questions
    from sampled
    inner join asked using (words)
    group by all
),

overlapping as (
    select
        campaign,
        round,
        benchmark,
        count(distinct benchmark_question) filter (where n = 13 and not is_masked) as share_13_tokens,
        count(distinct benchmark_question) filter (where n = 13 and not is_masked and share >= 0.5) as mostly,
        count(distinct benchmark_question) filter (where n = 13 and is_masked and share >= 0.5) as mostly_but_for_numbers,
        max(share) filter (where n = 13 and not is_masked) as most,
        arg_max(text, share) filter (where n = 13 and not is_masked) as closest_text,
    from contamination
    group by all
)

select campaign, round, benchmark, coalesce(copied_questions, 0) as copied_questions, overlapping.* exclude (campaign, round, benchmark)
from overlapping
full join copied using (campaign, round, benchmark)
order by all
