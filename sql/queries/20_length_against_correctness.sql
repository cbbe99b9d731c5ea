-- Are longer answers right less often? Benchmark answers by their tokens.
select
    campaign,
    round,
    model,
    benchmark,
    form,
    metric,
    floor(generated_tokens / 50)::integer * 50 as tokens_from,
    count(*) as answers,
    round(avg(is_correct::int), 3) as accuracy,
    count(*) filter (where outcome = 'truncated') as truncated,
from evaluation_samples
where is_correct is not null
group by all
order by all
