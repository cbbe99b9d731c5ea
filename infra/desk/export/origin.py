"""Where exported data are from, in a sentence or two that name no path of this machine."""

import re
from pathlib import Path, PurePath

from infra.store.rounds import Publication
from infra.warehouse import ask


def origin(warehouse: Path, found: Publication) -> str:
    """Recipe, base model, sources of the questions and code of a round."""
    (made,) = ask(
        warehouse,
        "select recipe, model, code, list_sort(list(distinct source)) as sources from rounds "
        "inner join questions using (campaign, round) where campaign = ? and round = ? group by all",
        [found.campaign, found.round],
    ).records()
    return (
        f"Recipe `{made['recipe']}`, base model {_named(made['model'])}, questions of "
        f"{', '.join(map(_named, made['sources']))}, made by CPL Factory {made['code']}. The licence of the questions "
        "holds for what was made of them."
    )


def _named(source: str) -> str:
    """A model or a source as others may know it: of a path on this machine the last part."""
    is_path = source.startswith(("/", "~", "."))
    return "`" + re.sub(r"[`\s]+", " ", PurePath(source).name if is_path else source) + "`"
