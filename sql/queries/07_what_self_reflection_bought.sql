-- What did self-reflection buy? Questions first solved by trial, where 0 is all first attempts, and those of which an attempt of the trial is imitated; the control (as many plain samples again) is not part of it.
-- A question is tried again only while nothing was right, so trial 0 has all of them.
select
    campaign,
    round,
    evidence,
    trial,
    questions as questions_tried,
    solved as first_solved,
    round(sum(solved) over so_far / first_value(questions) over so_far, 3) as share_solved_so_far,
    imitated,
    leaked,
    round(tokens / questions) as tokens_per_question,
from trials
window so_far as (partition by campaign, round, evidence order by trial)
order by all
