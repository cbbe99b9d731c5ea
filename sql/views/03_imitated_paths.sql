create macro imitated_paths_of(few) as table (
    with steps as (
        select imitations.*, leaf.tree, unnest(leaf.path) as node_id
        from (select distinct * from query_table(few)) as imitations
        inner join (select campaign, round, tree_id, node_id as leaf_id, tree, path from nodes) as leaf
            using (campaign, round, tree_id, leaf_id)
    ),

    whole as (
        select
            steps.* exclude (tree, node_id),
            flatten(list(step.token_ids order by step.depth)) as ids,
            string_agg(step.text, '' order by step.depth) as words,
        from steps
        inner join nodes as step using (campaign, round, tree, node_id)
        group by all
    )

    select
        whole.* exclude (ids, words),
        ids[: prompt_tokens] as prompt_ids,
        ids[prompt_tokens + 1 :] || if(eos is null, [], [eos]) as completion_ids,
        left(words, prompt_characters) as prompt,
        words[prompt_characters + 1 :] as completion,
    from whole
);

create view imitated_paths as from imitated_paths_of('imitations');

comment on macro table imitated_paths_of is 'The imitated_paths of a few imitations: `with few as (from imitations limit 10) from imitated_paths_of(few)`.';
comment on view imitated_paths is 'One row per path that is learnt from (imitations), with its words and token ids, put together from the nodes. Ask for trees, questions or a round, or imitated_paths_of for a few imitations: it writes out every path that is asked for.';
comment on column imitated_paths.campaign is 'Campaign of the round.';
comment on column imitated_paths.round is 'Number of the round in its campaign, from 1.';
comment on column imitated_paths.lesson is 'Name of the lesson in the round''s recipe.';
comment on column imitated_paths.example_id is 'Key within the lesson.';
comment on column imitated_paths.tree_id is 'Tree of the path (trees).';
comment on column imitated_paths.question_id is 'Question of the tree (questions).';
comment on column imitated_paths.leaf_id is 'Last node of the path (nodes).';
comment on column imitated_paths.origin is 'Who began its last action (nodes); hint: the plan was written under a failed attempt and the right answer (LEPA, STaR).';
comment on column imitated_paths.weight is 'Of the completion''s log-probability in the loss: above 0 it is imitated (1, or as often as it was sampled, times what `select` says); 0: only the values on it are learnt; a scored step has alpha times its score, below 0 to be unlearnt.';
comment on column imitated_paths.prompt_tokens is 'Tokens of the path, its root''s included, that are the question (of a scored step: the state before it) and not learnt.';
comment on column imitated_paths.prompt_characters is 'Characters of the path''s text, the root''s included, that those tokens are.';
comment on column imitated_paths.eos is 'Token id of the end of sequence that is learnt behind the path; null where none is: a step ends no text.';
comment on column imitated_paths.value_positions is 'Index into the tokens behind the prompt (completion_ids), from 0, of the last token of each step whose value is trained here.';
comment on column imitated_paths.value_targets is 'What V should be there, in [-1, 1], in the same order: Q of the step, if a trajectory ended below it that was not told the answer; those that were do not count.';
comment on column imitated_paths.prompt_ids is 'Token ids of the question (of a scored step: of the state before it), without a few-shot prefix.';
comment on column imitated_paths.completion_ids is 'Token ids of all actions from the question to the leaf, those in the tree''s prompt included; with a weight, the end of sequence follows a solution.';
comment on column imitated_paths.prompt is 'Text of the question.';
comment on column imitated_paths.completion is 'Text of all actions from the question to the leaf.';
