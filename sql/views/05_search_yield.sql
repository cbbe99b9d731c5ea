create view search_yield as
with searched as (
    select
        campaign,
        round,
        evidence,
        count(distinct question_id) filter (where state <> 'skipped') as questions,
        count(*) filter (where state <> 'skipped') as trees,
        count(distinct question_id) filter (where state = 'skipped') as skipped,
        count(*) filter (where state = 'failed') as failed,
        count(distinct question_id) filter (where is_solved) as solved,
        sum(simulations)::bigint as simulations,
        sum(expansions)::bigint as expansions,
        sum(nodes)::bigint as nodes,
        sum(requests)::bigint as requests,
        sum(failed_requests)::bigint as failed_requests,
        sum(generated_tokens)::bigint as generated_tokens,
        sum(cached_tokens) / nullif(sum(prompt_tokens), 0) as cache_hit_share,
    from trees
    group by all
),

paired as (
    select
        campaign,
        round,
        evidence,
        count(distinct pair_id) filter (where kind = 'plan') as plan_pairs,
        count(distinct pair_id) filter (where kind = 'step') as step_pairs,
        count(distinct pair_id) filter (where kind = 'solution') as solution_pairs,
        count(distinct pair_id) filter (where kind = 'continuation') as continuation_pairs,
        count(distinct tree_id) as trees_with_pairs,
    from preferences
    inner join trees using (campaign, round, tree_id)
    group by all
)

select
    searched.*,
    coalesce(paired.plan_pairs, 0) as plan_pairs,
    coalesce(paired.step_pairs, 0) as step_pairs,
    coalesce(paired.solution_pairs, 0) as solution_pairs,
    coalesce(paired.continuation_pairs, 0) as continuation_pairs,
    coalesce(paired.trees_with_pairs, 0) as trees_with_pairs,
from searched
left join paired using (campaign, round, evidence);

comment on view search_yield is 'One row per round and evidence: what the search was asked, what it did and what came of it.';
comment on column search_yield.campaign is 'Campaign of the round.';
comment on column search_yield.round is 'Number of the round in its campaign, from 1.';
comment on column search_yield.evidence is 'Name of the search in the round''s recipe.';
comment on column search_yield.questions is 'Questions searched.';
comment on column search_yield.trees is 'Trees searched, failed ones included: one a question, unless its recipe asks for several; a stepwise search grows one for every step.';
comment on column search_yield.skipped is 'Questions not searched, because the policy solves them without.';
comment on column search_yield.failed is 'Trees that failed.';
comment on column search_yield.solved is 'Questions for which the search found a correct solution.';
comment on column search_yield.simulations is 'Simulations asked for.';
comment on column search_yield.expansions is 'Expansions made.';
comment on column search_yield.nodes is 'Nodes, roots included.';
comment on column search_yield.requests is 'Requests sent to the engine.';
comment on column search_yield.failed_requests is 'Requests that failed.';
comment on column search_yield.generated_tokens is 'Tokens generated.';
comment on column search_yield.cache_hit_share is 'Share of prompt tokens that the prefix cache held, in [0, 1]; null without requests.';
comment on column search_yield.plan_pairs is 'Pairs of plan steps.';
comment on column search_yield.step_pairs is 'Pairs of steps of solutions without a plan.';
comment on column search_yield.solution_pairs is 'Pairs of solutions.';
comment on column search_yield.continuation_pairs is 'Pairs of continuations of several actions.';
comment on column search_yield.trees_with_pairs is 'Trees that gave at least one pair.';
