# Slicer writes <Extension>Config.cmake here, so that other extensions can depend on this one.
file(WRITE "${CMAKE_BINARY_DIR}/${EXTENSION_NAME}Config.cmake" "set(${EXTENSION_NAME}_FOUND TRUE)\n")
