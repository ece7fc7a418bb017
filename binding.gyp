{
  # CMakeLists.txt is the only list of sources: this calls the same CMake build for tools that know node-gyp only.
  "variables": {
    # Where CMake builds. scripts/prebuild.mjs names the checkout's own build, to use again what is up to date there.
    "cmake_out%": "build/Release",
  },
  "targets": [
    {
      "target_name": "sam3_tracker",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake",
          "message": "Building build/Release/sam3_tracker.node with CMake",
          "inputs": ["CMakeLists.txt"],
          # Never made, so that the action always runs: CMake knows what is up to date.
          "outputs": ["<(INTERMEDIATE_DIR)/never-made"],
          "action": [
            "node", "scripts/setup.mjs", "--for", "addon", "--out", "<(cmake_out)", "--copy-to", "build/Release"
          ],
        }
      ]
    }
  ]
}
