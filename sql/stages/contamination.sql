-- For each question that a benchmark asks and each kind of learnt text: the one text that holds most of its runs of $n tokens (of a shorter question: itself, whole), and the longest stretch of both.
-- asked (number, benchmark, question, ids) and learnt (number, question_id, kind, text, ids), both in token ids.
with asked_runs as (
    select number, place, ids[place : place + size - 1] as run
    from (
        select number, ids, least($n, len(ids)) as size, unnest(range(1, len(ids) - size + 2)) as place
        from asked
        where len(ids) > 0
    )
),

sizes as (select distinct least($n, len(ids)) as size from asked where len(ids) > 0),

learnt_runs as (
    select number, kind, place, ids[place : place + size - 1] as run
    from (select number, kind, ids, size, unnest(range(1, len(ids) - size + 2)) as place from learnt cross join sizes)
),

-- A run counts once for each of its places in the question, however often a text repeats it.
pairs as (
    select
        asked_runs.number as asked,
        learnt_runs.kind,
        learnt_runs.number as learnt,
        count(distinct asked_runs.place) as runs,
    from asked_runs
    inner join learnt_runs using (run)
    group by all
),

closest as (
    select asked, kind, count(*) as texts, max(runs) as runs, arg_max(learnt, (runs, -learnt::bigint)) as learnt
    from pairs
    group by all
),

-- Runs that follow each other in both texts are one stretch: the shift between their places is the same.
shifted as (
    select closest.asked, closest.kind, asked_runs.place, asked_runs.place - learnt_runs.place as shift
    from closest
    inner join asked_runs on closest.asked = asked_runs.number
    inner join learnt_runs on closest.learnt = learnt_runs.number and asked_runs.run = learnt_runs.run
),

stretches as (
    select asked, kind, min(place) as place, count(*) as runs
    from (select *, place - row_number() over (partition by asked, kind, shift order by place) as stretch from shifted)
    group by asked, kind, shift, stretch
),

longest as (
    select asked, kind, max(runs) as runs, arg_max(place, (runs, -place)) as place
    from stretches
    group by all
)

select
    asked.benchmark,
    asked.question as benchmark_question,
    closest.kind,
    learnt.question_id,
    learnt.text,
    closest.texts::integer as texts,
    closest.runs / (len(asked.ids) - least($n, len(asked.ids)) + 1) as share,
    asked.ids[longest.place : longest.place + longest.runs + least($n, len(asked.ids)) - 2] as span,
    len(span)::integer as tokens,
from closest
inner join longest using (asked, kind)
inner join asked on closest.asked = asked.number
inner join learnt on closest.learnt = learnt.number
order by closest.asked, closest.kind
