"""Several label spaces become one: the same organ once, an anomaly with its host whatever the host is called."""

from organincrement.contract.labels import Code, LabelSpace, Organ

LIVER_CODE = Code("SCT", "10200004", "Liver")
TUMOUR_CODE = Code("SCT", "126851005", "Neoplasm of liver")


def organ(organ_id: str, code: Code, host: str | None = None) -> Organ:
    kind = "anomaly" if host else "organ"
    return Organ(id=organ_id, name=organ_id, kind=kind, host=host, color=(1, 2, 3), type=code)


FIRST = LabelSpace((organ("liver", LIVER_CODE), organ("liver_tumour", TUMOUR_CODE, "liver")))
SECOND = LabelSpace((organ("Leber", LIVER_CODE), organ("Tumor", TUMOUR_CODE, "Leber")))


def test_the_same_organ_is_there_once_by_its_code_and_so_is_the_anomaly_in_it():
    assert LabelSpace.joined((FIRST, SECOND)).ids == ("liver", "liver_tumour")
    assert LabelSpace.joined((SECOND, FIRST)).ids == ("Leber", "Tumor")


def test_an_anomaly_takes_the_name_that_its_host_has_among_the_others():
    assert [o.host for o in SECOND.hosted_in(FIRST.organs)] == [None, "liver"]
    assert FIRST.has(SECOND.hosted_in(FIRST.organs)[1]) and FIRST.like(SECOND.organs[0]).id == "liver"


def test_an_anomaly_whose_host_is_in_no_space_keeps_what_it_says():
    alone = LabelSpace((organ("Tumor", TUMOUR_CODE, "Leber"),))
    assert LabelSpace.joined((alone,)).organs == alone.organs
    assert not LabelSpace(FIRST.organs[:1]).has(alone.organs[0])
