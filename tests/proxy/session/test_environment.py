from proxy.session.environment import Analyses
from proxy.sql.facts import Analysis


def test_the_cache_forgets_the_oldest() -> None:
    analyses = Analyses(limit=2)
    for key in (("a",), ("b",), ("c",)):
        analyses.put(key, Analysis(problem=key[0]))
    assert analyses.get(("a",)) is None
    assert analyses.get(("c",)) == Analysis(problem="c")
    assert len(analyses) == 2


def test_texts_of_one_shape_find_an_analysis_to_which_constants_do_not_matter() -> None:
    analyses = Analyses(limit=2)
    general, particular = Analysis(problem="general", constants_matter=False), Analysis(problem="particular")
    analyses.put(("SELECT a FROM t WHERE id = 1", "catalog"), general)
    analyses.put(("SELECT b FROM t WHERE id = 1", "catalog"), particular)
    assert analyses.get(("SELECT a FROM t WHERE id = 22", "catalog")) is general
    for other in ("SELECT a FROM t WHERE id = '1'", "SELECT A FROM t WHERE id = 1", "SELECT b FROM t WHERE id = 2", "SELECT a FROM t"):
        assert analyses.get((other, "catalog")) is None
    assert analyses.get(("SELECT a FROM t WHERE id = 1", "another catalog")) is None
    assert len(analyses) == 2


def test_what_was_found_by_its_shape_is_then_found_by_its_text() -> None:
    analyses = Analyses(limit=1)
    analyses.put(("SELECT a WHERE id = 1",), first := Analysis(constants_matter=False))
    assert analyses.get(("SELECT a WHERE id = 2",)) is first
    analyses.put(("SELECT 1 + 1 + 'x'",), Analysis(constants_matter=False))  # one shape at a time
    assert analyses.get(("SELECT a WHERE id = 3",)) is None
