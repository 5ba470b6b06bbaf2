"""Every method by its name. A new method is one file here, and one line below."""

from organincrement.methods.bla_uag import BlaUag
from organincrement.methods.fine_tune import FineTune
from organincrement.methods.lwf import Lwf
from organincrement.methods.mib import Mib
from organincrement.methods.protocol import ContinualMethod, MethodError
from organincrement.methods.self_training import SelfTraining
from organincrement.methods.supervised import Supervised

METHODS: dict[str, type[ContinualMethod]] = {
    method.name: method for method in (BlaUag, Mib, Lwf, FineTune, SelfTraining, Supervised)
}

DEFAULT_METHOD = BlaUag.name


def method_named(name: str) -> type[ContinualMethod]:
    """The method's class. Raises: MethodError naming those there are."""
    if name not in METHODS:
        raise MethodError(f"method '{name}' is unknown; there are: {', '.join(METHODS)}")
    return METHODS[name]
