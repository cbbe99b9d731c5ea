"""Which questions a round takes: stratified, the same for the same seed, whatever the order of the rows."""

import hashlib
from fractions import Fraction

import polars as pl


def sample(questions: pl.DataFrame, count: int, seed: int) -> pl.DataFrame:
    """`count` rows (all where there are fewer), every (source, level) with its share by largest remainder.

    Within a level the rows with the smallest digests of seed and question id are taken; the result is in that
    order.
    """
    ranked = questions.with_columns(
        pl.col("question_id").map_elements(lambda one: digest(seed, one), return_dtype=pl.String).alias("rank")
    ).sort("rank")
    if count >= questions.height:
        return ranked.drop("rank")
    sizes = ranked.group_by("source", "level").len().sort("source", "level")
    keys = [(source, level) for source, level, _ in sizes.iter_rows()]
    quota = dict(zip(keys, shares(sizes["len"].to_list(), count), strict=True))
    strata = ranked.partition_by("source", "level", as_dict=True, maintain_order=True)
    taken = [strata[key].head(quota[key]) for key in keys]
    return pl.concat(taken).sort("rank").drop("rank")


def hold_out(questions: pl.DataFrame, share: float, seed: int) -> pl.DataFrame:
    """Marks about `share` of the rows as held out (`is_held_out`), each by the digest of its own id and the
    seed.

    So a question is held out in every round of a campaign or in none, however many others are drawn beside
    it.
    """
    limit = int(share * 2**64)
    held = [int(digest(seed, f"held out {one}")[:16], 16) < limit for one in questions["question_id"]]
    return questions.with_columns(pl.Series("is_held_out", held, dtype=pl.Boolean))


def shares(sizes: list[int], count: int) -> list[int]:
    """`count` split in proportion to `sizes`: the whole parts, then one each to the largest remainders."""
    total = sum(sizes)
    exact = [Fraction(size * count, total) for size in sizes]
    whole = [int(one) for one in exact]
    rest = sorted(range(len(sizes)), key=lambda place: (whole[place] - exact[place], place))
    for place in rest[: count - sum(whole)]:
        whole[place] += 1
    return whole


def digest(seed: int, text: str) -> str:
    return hashlib.sha256(f"{seed}:{text}".encode()).hexdigest()
