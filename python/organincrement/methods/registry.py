"""Every method by its name. A new method is one file here, and one line below."""

from organincrement.methods.aeiseg import AeiSeg
from organincrement.methods.bla_uag import BlaUag
from organincrement.methods.co_training import CoTraining
from organincrement.methods.cond_dec import CondDec
from organincrement.methods.cond_input import CondInput
from organincrement.methods.cond_no import CondNo
from organincrement.methods.continual_segment import ContinualSegment
from organincrement.methods.coriseg import CoRiSeg
from organincrement.methods.dodnet import Dodnet
from organincrement.methods.fine_tune import FineTune
from organincrement.methods.lwf import Lwf
from organincrement.methods.lwfseg import LwfSeg
from organincrement.methods.mib import Mib
from organincrement.methods.ms_kd import MsKd
from organincrement.methods.multi_head import MultiHeadNetwork
from organincrement.methods.protocol import ContinualMethod, MethodError
from organincrement.methods.self_training import SelfTraining
from organincrement.methods.supervised import Supervised
from organincrement.methods.tal import Tal

METHODS: dict[str, type[ContinualMethod]] = {
    method.name: method
    for method in (
        BlaUag,
        MsKd,
        LwfSeg,
        AeiSeg,
        CoRiSeg,
        ContinualSegment,
        Dodnet,
        Mib,
        Lwf,
        FineTune,
        SelfTraining,
        CoTraining,
        Supervised,
        Tal,
        MultiHeadNetwork,
        CondNo,
        CondInput,
        CondDec,
    )
}

DEFAULT_METHOD = BlaUag.name


def method_named(name: str) -> type[ContinualMethod]:
    """The method's class. Raises: MethodError naming those there are."""
    if name not in METHODS:
        raise MethodError(f"method '{name}' is unknown; there are: {', '.join(METHODS)}")
    return METHODS[name]
