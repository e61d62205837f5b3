from proxy.session.environment import Analyses
from proxy.sql.facts import Analysis


def test_the_cache_forgets_the_oldest() -> None:
    analyses = Analyses(limit=2)
    for key in (("a",), ("b",), ("c",)):
        analyses.put(key, Analysis(problem=key[0]))
    assert analyses.get(("a",)) is None
    assert analyses.get(("c",)) == Analysis(problem="c")
    assert len(analyses) == 2
