"""`SampleData`: modules register data sets and users load them; nothing is fetched from a network here.

A source with a `customDownloader` calls it; one whose URIs are `file:` is copied into the cache and loaded; anything
else is refused. As in the application, all lists of a source have one length, and a lone `uris` text counts as a list.
"""

import hashlib
import shutil
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import slicer

_LISTS = ("uris", "fileNames", "nodeNames", "checksums", "loadFiles", "loadFileTypes")


class SampleDataSource:
    """What is known of one data set."""

    def __init__(
        self,
        sampleName=None,
        sampleDescription=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        checksums=None,
        loadFiles=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileTypes=None,
        loadFileProperties=None,
        loadFileType=None,
    ):
        self.sampleName, self.sampleDescription = sampleName, sampleDescription or sampleName
        self.customDownloader, self.thumbnailFileName = customDownloader, thumbnailFileName
        self.loadFileProperties = loadFileProperties or {}
        given = (uris, fileNames, nodeNames, checksums, loadFiles, loadFileTypes or loadFileType)
        single = isinstance(uris, str)
        count = 1 if single else len(uris)  # a source without URIs cannot be registered in the application either
        for name, value in zip(_LISTS, given, strict=True):
            setattr(self, name, [value] if single else _listed(value, count))
        lengths = {name: len(getattr(self, name)) for name in _LISTS}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"All fields of a sample data source must have the same length: {lengths}")

    def __eq__(self, other):
        return vars(self) == vars(other)

    __hash__ = None


def _listed(value, count):
    return list(value) if isinstance(value, list | tuple) else [value] * count


class SampleDataLogic:
    """Registering, finding and loading."""

    def __init__(self, logMessage=None):
        self._log = logMessage

    @staticmethod
    def registerCustomSampleDataCategory(category, title):
        categories = vars(slicer.modules).setdefault("sampleDataSourceCategories", {})
        categories.setdefault(category, {})["title"] = title

    @staticmethod
    def registerCustomSampleDataSource(
        category="Custom",
        sampleName=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileTypes=None,
        loadFiles=None,
        loadFileProperties=None,
        checksums=None,
        loadFileType=None,
    ):
        source = SampleDataSource(
            sampleName=sampleName,
            uris=uris,
            fileNames=fileNames,
            nodeNames=nodeNames,
            customDownloader=customDownloader,
            thumbnailFileName=thumbnailFileName,
            loadFileTypes=loadFileTypes or loadFileType,
            loadFiles=loadFiles,
            loadFileProperties=loadFileProperties,
            checksums=checksums,
        )
        if not SampleDataLogic.isSampleDataSourceRegistered(category, source):
            sources().setdefault(category, []).append(source)

    @staticmethod
    def isSampleDataSourceRegistered(category, sampleDataSource):
        if not isinstance(sampleDataSource, SampleDataSource):
            raise TypeError(f"unsupported sampleDataSource type '{type(sampleDataSource)}'")
        return sampleDataSource in sources().get(category, [])

    @staticmethod
    def sampleDataSourcesByCategory(category=None):
        return sources() if category is None else sources().get(category, [])

    def sourceForSampleName(self, sampleName):
        found = [s for listed in sources().values() for s in listed if s.sampleName == sampleName]
        return found[0] if found else None

    def downloadSamples(self, sampleName):
        source = self.sourceForSampleName(sampleName)
        if source is None:
            return []
        return source.customDownloader(source) if source.customDownloader else self.downloadFromSource(source)

    def downloadSample(self, sampleName):
        return self.downloadSamples(sampleName)[0]

    def downloadFromSource(self, source, maximumAttemptsCount=3, forceDownload=False):
        """The loaded nodes, or the files where none is loaded. Raises: RuntimeError for anything on a network."""
        results = []
        for index, uri in enumerate(source.uris):
            path = self._copied(uri, source.fileNames[index], source.checksums[index])
            if source.loadFiles[index] is False or source.nodeNames[index] is None:
                results.append(str(path))
                continue
            properties = {**source.loadFileProperties, "name": source.nodeNames[index]}
            results.append(slicer.util.loadNodeFromFile(path, source.loadFileTypes[index], properties))
        return results

    def downloadFromURL(self, uris=None, fileNames=None, nodeNames=None, checksums=None, loadFiles=None, **more):
        known = {key: more[key] for key in ("loadFileTypes", "loadFileProperties") if key in more}
        source = SampleDataSource(
            uris=uris, fileNames=fileNames, nodeNames=nodeNames, checksums=checksums, loadFiles=loadFiles, **known
        )
        return self.downloadFromSource(source)

    @staticmethod
    def _copied(uri, name, checksum):
        parts = urlparse(uri)
        if parts.scheme != "file":
            raise RuntimeError(f"{uri}: nothing is downloaded in the tests")
        original = Path(url2pathname(parts.path))
        target = Path(slicer.app.cachePath) / (name or original.name)
        shutil.copyfile(original, target)
        if checksum:
            algorithm, _, digest = checksum.partition(":")
            if hashlib.new(algorithm.lower(), target.read_bytes()).hexdigest() != digest:
                raise ValueError(f"{target.name}: its checksum is not {checksum}")
        return target


def sources():
    """The registered sources by category, where the application keeps them."""
    return vars(slicer.modules).setdefault("sampleDataSources", {})


def downloadSample(sampleName):
    return SampleDataLogic().downloadSamples(sampleName)[0]


def downloadSamples(sampleName):
    return SampleDataLogic().downloadSamples(sampleName)


def downloadFromURL(uris=None, fileNames=None, nodeNames=None, checksums=None, loadFiles=None, **more):
    return SampleDataLogic().downloadFromURL(uris, fileNames, nodeNames, checksums, loadFiles, **more)
