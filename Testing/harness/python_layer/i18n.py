"""`slicer.i18n`: texts are returned untranslated."""

from pathlib import Path


def tr(text, *context):
    return text


def translate(context, text):
    return text


def getContext(sourceFile):
    return Path(sourceFile).stem
