"""What the three OrganIncrement modules share: panels (Qt), logics (MRML), the engine's processes, controllers.

Importing it makes the engine's `organincrement.contract` importable, from the folder that came with the extension, so
that datasets, jobs and results can be shown in a Slicer where nothing was installed.
"""

from OrganIncrementLib.Engine.EngineFolder import makeContractImportable

makeContractImportable()
