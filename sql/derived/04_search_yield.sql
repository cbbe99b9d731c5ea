create table search_yield as
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
        coalesce(sum(expansions) filter (where not is_held_out and state <> 'failed'), 0)::bigint as learning_expansions,
        sum(nodes)::bigint as nodes,
        sum(requests)::bigint as requests,
        sum(failed_requests)::bigint as failed_requests,
        sum(generated_tokens)::bigint as generated_tokens,
        coalesce(sum(generated_tokens) filter (where not is_held_out and state <> 'failed'), 0)::bigint as learning_tokens,
        sum(cached_tokens) / nullif(sum(prompt_tokens), 0) as cache_hit_share,
    from trees
    group by all
),

paired as (
    select campaign, round, tree_id, kind, count(*) as pairs
    from (select distinct campaign, round, tree_id, chosen_id, rejected_id, kind from preferences)
    group by all
),

yielded as (
    select
        campaign,
        round,
        evidence,
        sum(pairs) filter (where kind = 'plan') as plan_pairs,
        sum(pairs) filter (where kind = 'step') as step_pairs,
        sum(pairs) filter (where kind = 'solution') as solution_pairs,
        sum(pairs) filter (where kind = 'continuation') as continuation_pairs,
        count(distinct tree_id) as trees_with_pairs,
    from paired
    inner join (select campaign, round, tree_id, evidence from trees) using (campaign, round, tree_id)
    group by all
)

select
    searched.*,
    coalesce(yielded.plan_pairs, 0)::bigint as plan_pairs,
    coalesce(yielded.step_pairs, 0)::bigint as step_pairs,
    coalesce(yielded.solution_pairs, 0)::bigint as solution_pairs,
    coalesce(yielded.continuation_pairs, 0)::bigint as continuation_pairs,
    coalesce(yielded.trees_with_pairs, 0) as trees_with_pairs,
from searched
left join yielded using (campaign, round, evidence);

comment on table search_yield is 'One row per round and evidence: what the search was asked, what it did and what came of it (made here).';
comment on column search_yield.campaign is 'Campaign of the round.';
comment on column search_yield.round is 'Number of the round in its campaign, from 1.';
comment on column search_yield.evidence is 'Name of the search in the round''s recipe.';
comment on column search_yield.questions is 'Questions searched.';
comment on column search_yield.trees is 'Trees searched, failed ones included: one a question, unless its recipe asks for several; a stepwise search grows one for every step.';
comment on column search_yield.skipped is 'Questions not searched, because the policy solves them without.';
comment on column search_yield.failed is 'Trees that failed.';
comment on column search_yield.solved is 'Questions for which the search found a correct solution.';
comment on column search_yield.simulations is 'Simulations asked for (trees.simulations).';
comment on column search_yield.expansions is 'Expansions made.';
comment on column search_yield.learning_expansions is 'Of these, expansions of trees that are learnt from: held-out and failed ones give no pair. With a budget of tokens (a study) lessons may draw from fewer.';
comment on column search_yield.nodes is 'Nodes, roots included.';
comment on column search_yield.requests is 'Requests sent to the engine.';
comment on column search_yield.failed_requests is 'Requests that failed.';
comment on column search_yield.generated_tokens is 'Tokens generated.';
comment on column search_yield.learning_tokens is 'Of these, tokens of trees that are learnt from: held-out and failed ones give no pair. With a budget of tokens (a study) lessons may draw from fewer.';
comment on column search_yield.cache_hit_share is 'Share of prompt tokens that the prefix cache held, in [0, 1]; null without requests.';
comment on column search_yield.plan_pairs is 'Pairs of plan steps.';
comment on column search_yield.step_pairs is 'Pairs of steps of solutions without a plan.';
comment on column search_yield.solution_pairs is 'Pairs of solutions.';
comment on column search_yield.continuation_pairs is 'Pairs of continuations of several actions.';
comment on column search_yield.trees_with_pairs is 'Trees that gave at least one pair.';
