create macro pairs_of(few) as table (
    with walks as (
        select
            *,
            list_position(walk, chosen_id) as until,
            unnest(walk) as node_id,
            generate_subscripts(walk, 1) as place,
        from (select distinct * from query_table(few))
    )

    select
        walks.* exclude (tree, walk, until, node_id, place),
        flatten(list(step.token_ids order by place) filter (where place <= walks.depth)) as prompt_ids,
        flatten(list(step.token_ids order by place) filter (where place > walks.depth and place <= until)) as chosen_ids,
        flatten(list(step.token_ids order by place) filter (where place > until)) as rejected_ids,
        string_agg(step.text, '' order by place) filter (where place <= walks.depth) as prompt,
        string_agg(step.text, '' order by place) filter (where place > walks.depth and place <= until) as chosen,
        string_agg(step.text, '' order by place) filter (where place > until) as rejected,
    from walks
    inner join nodes as step using (campaign, round, tree, node_id)
    group by all
);

create view pairs as from pairs_of('preferences');

comment on macro table pairs_of is 'The pairs of a few preferences: `with few as (from preferences limit 10) from pairs_of(few)`.';
comment on view pairs is 'One row per preference (preferences), with the words and token ids of its prompt and of both sides, put together from the nodes. Ask for trees, questions or a round, or pairs_of for a few preferences: it writes out every pair that is asked for.';
comment on column pairs.campaign is 'Campaign of the round.';
comment on column pairs.round is 'Number of the round in its campaign, from 1.';
comment on column pairs.lesson is 'Name of the lesson in the round''s recipe.';
comment on column pairs.pair_id is 'Key within the lesson.';
comment on column pairs.tree_id is 'Tree of both sides (trees).';
comment on column pairs.question_id is 'Question of the tree (questions).';
comment on column pairs.parent_id is 'Node that both sides continue, each by one action or several (nodes).';
comment on column pairs.chosen_id is 'Last node of the chosen side.';
comment on column pairs.rejected_id is 'Last node of the rejected side; its Q is below the chosen one''s.';
comment on column pairs.kind is 'plan: two sibling plan steps; step: two sibling steps of a solution without a plan; solution: two sibling solutions; continuation: anything else, as a side of several actions.';
comment on column pairs.chosen_q is 'Q of the chosen node in the tree, in [-1, 1].';
comment on column pairs.rejected_q is 'Q of the rejected node in the tree, in [-1, 1].';
comment on column pairs.chosen_value is 'V_w of the loss: chosen_q times the value scale of its kind (CPL: steps 1.0, solution 0.3).';
comment on column pairs.rejected_value is 'V_l of the loss: rejected_q times the value scale of its kind.';
comment on column pairs.depth is 'Position of the first action of both sides: 1 follows the question.';
comment on column pairs.chosen_visits is 'Visit count of the chosen node.';
comment on column pairs.rejected_visits is 'Visit count of the rejected node.';
comment on column pairs.chosen_prior is 'Prior of the chosen step, in [0, 1]; null of continuations.';
comment on column pairs.rejected_prior is 'Prior of the rejected step, in [0, 1]; null of continuations; above chosen_prior: the policy preferred the wrong step.';
comment on column pairs.prompt_ids is 'Token ids of the state that both sides continue: the root state and all actions down to the parent.';
comment on column pairs.chosen_ids is 'Token ids of the actions from the parent to the chosen node; no end of sequence follows.';
comment on column pairs.rejected_ids is 'Token ids of the actions from the parent to the rejected node.';
comment on column pairs.prompt is 'Text of that state.';
comment on column pairs.chosen is 'Text of the chosen side.';
comment on column pairs.rejected is 'Text of the rejected side.';
